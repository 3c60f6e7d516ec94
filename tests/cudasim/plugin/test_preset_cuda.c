// SPDX-License-Identifier: Apache-2.0
// test_preset_cuda CONFIG [LEARNING_RATE]: a preset trains on the emulated device as on the CPU, recorded as
// operation by operation, on real images; in strict float, which the CPU computes in.
#include "tests/train/fashion.h"

enum { IMAGES = 60, MOST = 256 };

static char config[4096];
static const char *rate; // an assignment, or NULL

static training training_of(const char *run_dir, const char *device) {
  return (training){.run_dir = run_dir,
                    .config = config,
                    .dataset = "d.h5",
                    .device = device,
                    // Launches of 4, 4 and 1, with a record behind each.
                    .set = {"trainer.batch_size=4", "trainer.eval_batch_size=20",
                            "trainer.max_steps=9", "trainer.log_every_n_steps=4",
                            "trainer.precision=32", rate},
                    .records = "log",
                    .level = COHORT_LOG_DEBUG};
}

static int losses(const char *run_dir, double *out) {
  char path[256];
  snprintf(path, sizeof path, "%s/metrics.jsonl", run_dir);
  char *text = read_whole(path, NULL);
  int count = 0;
  assert_non_null(text);
  for (const char *at = text; count < MOST && (at = strstr(at, "\"loss\":")); count++)
    out[count] = strtod(at += strlen("\"loss\":"), NULL);
  free(text);
  return count;
}

static void test_preset(void **state) {
  (void)state;
  if (!make_fashion("d.h5", IMAGES)) skip();
  training cpu = training_of("cpu", "cpu"), cuda = training_of("cuda", "cuda:0"), eager = cuda;
  eager.run_dir = "eager";
  eager.eager = true;
  eager.records = NULL;
  assert_int_equal(train_apart(&cpu), 0);
  assert_int_equal(train_apart(&cuda), 0);
  assert_true(file_has("log", "record phase=0"));
  assert_false(file_has("log", "not recorded"));
  assert_int_equal(train_apart(&eager), 0);
  assert_string_equal(run_difference("cuda", "eager"), "");
  double one[MOST], other[MOST];
  int count = losses("cpu", one);
  assert_true(count >= 4);
  assert_int_equal(losses("cuda", other), count);
  for (int i = 0; i < count; i++)
    if (fabs(one[i] - other[i]) > 2e-3 * (1 + fabs(one[i])))
      fail_msg("record %d: loss %g on the CPU, %g on CUDA", i, one[i], other[i]);
}

int main(int argc, char **argv) {
  if (argc < 2 || argc > 3 || !realpath(argv[1], config)) {
    fprintf(stderr, "usage: test_preset_cuda CONFIG [LEARNING_RATE]\n");
    return 2;
  }
  char assignment[64];
  if (argc == 3) {
    snprintf(assignment, sizeof assignment, "trainer.learning_rate=%s", argv[2]);
    rate = assignment;
  }
  const struct CMUnitTest tests[] = {TRAINING_TEST(test_preset)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
