// SPDX-License-Identifier: Apache-2.0
// What files of kept scores say that they are of.
#include "tests/unit/h5_fixture.h"

#include "host/eval/kept_scores.h"

static void write_file(fixture *f, int64_t version, const char *split) {
  co_h5 *h;
  assert_int_equal(co_h5_create_checked(&h, f->ctx, CO_SCORES_FILE, "scores", 0), CO_OK);
  assert_int_equal(co_h5_set_string(h, "/", "format", "cohort-kept-scores"), CO_OK);
  assert_int_equal(co_h5_set_int(h, "/", "version", version), CO_OK);
  assert_int_equal(co_h5_set_string(h, "/", "split", split), CO_OK);
  assert_int_equal(co_h5_set_string(h, "/", "dataset_fingerprint", "rows"), CO_OK);
  assert_int_equal(co_h5_set_string(h, "/", "weights_sha256", "weights"), CO_OK);
  assert_int_equal(co_h5_close(h), CO_OK);
}

// Scores of another version are not those of another model: whoever reads them can say so.
static void other_versions_are_told_apart(void **state) {
  fixture *f = *state;
  const co_scores_identity identity = {"validation", "rows", "weights"};
  co_model model = {.ctx = f->ctx};
  co_evaluation evaluation = {.model = &model};
  co_kept_state found = CO_KEPT_FOUND;
  assert_int_equal(co_kept_scores_read(&evaluation, CO_SCORES_FILE, &identity, &found), CO_OK);
  assert_int_equal(found, CO_KEPT_NONE);
  write_file(f, CO_KEPT_SCORES_VERSION - 1, "validation");
  assert_int_equal(co_kept_scores_read(&evaluation, CO_SCORES_FILE, &identity, &found), CO_OK);
  assert_int_equal(found, CO_KEPT_OTHER_VERSION);
  write_file(f, CO_KEPT_SCORES_VERSION, "test");
  assert_int_equal(co_kept_scores_read(&evaluation, CO_SCORES_FILE, &identity, &found), CO_OK);
  assert_int_equal(found, CO_KEPT_NONE);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(other_versions_are_told_apart, set_up, tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
