// SPDX-License-Identifier: Apache-2.0
// One bit falls over in a file: in a data set, a checkpoint and a model as Cohort writes them, and in
// the same without the checksum of the file, as foreign or older ones are. Nothing may crash or hang:
// the right values come, or one line and the documented code.
//
// usage: flip_bits COHORT [--every N] [--jobs N]
//
// Files with a checksum are read through the library, each in a process of its own; foreign ones by
// the program COHORT, whose probe is what protects it. --every N: a bit in one of N bytes; without it
// few, and fewest of foreign files, which cost two starts of a program each.
#include "tests/fuzz/driver.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "datasets/dataset.h"
#include "datasets/writer.h"
#include "host/cohort.h"
#include "host/core/h5.h"
#include "host/core/hash.h"

enum { ROWS = 60, INPUTS = 4, SECONDS = 60, MAX_JOBS = 256 };

// ---- the files ---------------------------------------------------------------------------------

static const char config[] = "input_features: [{name: x}]\n"
                             "output_features: [{name: y}]\n"
                             "combiner: {type: concat, layers: [{Dense: {units: 3}}]}\n"
                             "trainer: {max_epochs: 2, batch_size: 16, steps_per_checkpoint: 3}\n";

static co_status write_dataset(co_context *ctx) {
  static const char *const classes[] = {"no", "yes"};
  co_column x = {.name = "x", .type = CO_COLUMN_VECTOR, .dtype = CO_F32, .shape = {1, {INPUTS}}};
  co_column y = {.name = "y",
                 .type = CO_COLUMN_CATEGORY,
                 .role = CO_ROLE_TARGET,
                 .dtype = CO_I32,
                 .category_count = 2,
                 .categories = classes};
  float values[ROWS * INPUTS];
  int32_t codes[ROWS];
  uint8_t split[ROWS];
  const char *keys[ROWS];
  char names[ROWS][8];
  co_dataset_writer *w = NULL;
  co_status status;
  for (int i = 0; i < ROWS; i++) {
    for (int k = 0; k < INPUTS; k++)
      values[i * INPUTS + k] = (float)((i * 7 + k * 5) % 11) - 5;
    codes[i] = values[i * INPUTS] > 0;
    split[i] = (uint8_t)(i % 5 / 3);
    snprintf(names[i], sizeof names[i], "K%d", i);
    keys[i] = names[i];
  }
  CO_TRY(co_dataset_writer_create(&w, ctx, "dataset.h5"));
  CO_TRY(co_dataset_writer_column(w, "t", &x, ROWS));
  CO_TRY(co_dataset_writer_rows(w, ROWS, values));
  CO_TRY(co_dataset_writer_column(w, "t", &y, ROWS));
  CO_TRY(co_dataset_writer_rows(w, ROWS, codes));
  CO_TRY(co_dataset_writer_texts(w, "t", "id", CO_ROLE_KEY, keys, ROWS));
  CO_TRY(co_dataset_writer_samples(w, "t", ROWS, NULL, NULL, split));
  CO_TRY(co_dataset_writer_commit(w, NULL));
cleanup:
  co_dataset_writer_free(w);
  return status;
}

// As h5py may write it: packed columns, checksums of nothing.
static co_status write_foreign(co_context *ctx) {
  static const co_h5_storage packed = {.chunk_rows = 16, .deflate = 4};
  static const char *const words[] = {"no", "yes"};
  co_shape flat = co_shape_make(1, (int64_t)ROWS);
  double values[ROWS];
  int32_t codes[ROWS];
  const char *keys[ROWS];
  co_h5 *h = NULL;
  co_status status;
  for (int i = 0; i < ROWS; i++) {
    values[i] = i * 0.37;
    codes[i] = i % 2;
    keys[i] = i % 3 ? "a key" : "another key";
  }
  CO_TRY(co_h5_create(&h, ctx, "foreign.h5"));
  CO_TRY(co_h5_set_string(h, "/", "format", "cohort-dataset"));
  CO_TRY(co_h5_set_int(h, "/", "version", 1));
  CO_TRY(co_h5_write(h, "/entities/t/x", CO_F64, &flat, values, &packed, false));
  CO_TRY(co_h5_set_string(h, "/entities/t/x", "type", "number"));
  CO_TRY(co_h5_set_string(h, "/entities/t/x", "role", "input"));
  CO_TRY(co_h5_make_group(h, "/entities/t/y"));
  CO_TRY(co_h5_set_string(h, "/entities/t/y", "type", "category"));
  CO_TRY(co_h5_set_string(h, "/entities/t/y", "role", "target"));
  CO_TRY(co_h5_write(h, "/entities/t/y/codes", CO_I32, &flat, codes, &packed, false));
  CO_TRY(co_h5_write_strings(h, "/entities/t/y/categories", words, 2));
  CO_TRY(co_h5_write_strings(h, "/entities/t/id", keys, ROWS));
  CO_TRY(co_h5_set_string(h, "/entities/t/id", "role", "key"));
  CO_TRY(co_h5_write(h, "/samples/split", CO_I32, &flat, codes, NULL, false));
  status = co_h5_close(h);
  h = NULL;
cleanup:
  co_h5_abandon(h);
  return status;
}

static void train(void) {
  cohort_context *context;
  cohort_result *result;
  const char *const files[] = {"c.yaml"};
  fuzz_write_file("c.yaml", (const uint8_t *)config, strlen(config));
  cohort_train_options options = {.config = {.files = files, .file_count = 1},
                                  .dataset = "dataset.h5",
                                  .run_dir = "run",
                                  .device = "ref",
                                  .threads = 1};
  cohort_context_options silent = {.threads = 1, .log_level = COHORT_LOG_ERROR};
  FUZZ_CHECK(cohort_context_create(&context, &silent) == 0);
  int status = cohort_train(context, &options, &result);
  if (status) fprintf(stderr, "%s\n", cohort_result_json(result));
  FUZZ_CHECK(status == 0);
  cohort_result_free(result);
  cohort_context_free(context);
}

static uint8_t *load(const char *path, size_t *size) {
  FILE *stream = fopen(path, "rb");
  FUZZ_CHECK(stream && fseek(stream, 0, SEEK_END) == 0);
  *size = (size_t)ftell(stream);
  rewind(stream);
  uint8_t *bytes = malloc(*size);
  FUZZ_CHECK(bytes && fread(bytes, 1, *size, stream) == *size && fclose(stream) == 0);
  return bytes;
}

static void copy_without_checksum(const char *from, const char *to) {
  size_t size;
  uint8_t *bytes = load(from, &size);
  memset(bytes, 0, 16);
  fuzz_write_file(to, bytes, size);
  free(bytes);
}

static void make_files(void) {
  co_context *ctx;
  FUZZ_CHECK(co_context_create(&ctx, NULL) == CO_OK);
  FUZZ_CHECK(write_dataset(ctx) == CO_OK && write_foreign(ctx) == CO_OK);
  co_context_free(ctx);
  train();
  FUZZ_CHECK(rename("run/model.h5", "model.h5") == 0);
  FUZZ_CHECK(rename("run/checkpoints/step-00000006.h5", "checkpoint.h5") == 0);
  FUZZ_CHECK(system("rm -rf run") == 0);
  copy_without_checksum("checkpoint.h5", "old-checkpoint.h5");
  copy_without_checksum("model.h5", "old-model.h5");
  copy_without_checksum("dataset.h5", "old-dataset.h5");
}

// ---- what is in a file -------------------------------------------------------------------------

typedef struct digest {
  uint32_t crc;
  int status;
} digest;

static void add(digest *d, const void *bytes, size_t size) {
  d->crc = co_crc32c(d->crc, bytes, size);
}

// Every number and text below a group.
static co_status add_group(digest *d, co_h5 *h, co_arena *arena, const char *group) {
  char **names, path[512];
  int64_t count;
  CO_RETURN_IF_FAILED(co_h5_list(h, group, arena, &names, &count));
  for (int64_t i = 0; i < count; i++) {
    co_h5_info info;
    char **text;
    int64_t texts;
    snprintf(path, sizeof path, "%s/%s", group, names[i]);
    add(d, path, strlen(path));
    CO_RETURN_IF_FAILED(co_h5_get_info(h, path, &info));
    if (info.is_group) {
      CO_RETURN_IF_FAILED(add_group(d, h, arena, path));
    } else if (info.is_string) {
      CO_RETURN_IF_FAILED(co_h5_read_strings(h, path, arena, &text, &texts));
      for (int64_t k = 0; k < texts; k++)
        add(d, text[k], strlen(text[k]) + 1);
    } else {
      size_t size = (size_t)co_shape_count(&info.shape) * co_dtype_size(info.dtype);
      void *values = co_arena_alloc(arena, size + 1, 1);
      if (!values) return CO_ERR_MEMORY;
      CO_RETURN_IF_FAILED(co_h5_read(h, path, info.dtype, &info.shape, values));
      add(d, values, size);
    }
  }
  return CO_OK;
}

static co_status add_dataset(digest *d, co_context *ctx, const char *path) {
  co_dataset *set;
  CO_RETURN_IF_FAILED(co_dataset_open(&set, ctx, path));
  const co_schema *schema = co_dataset_schema(set);
  co_status status = CO_OK;
  add(d, co_dataset_fingerprint(set), 64);
  for (int64_t row = 0; status == CO_OK && row < co_dataset_rows(set); row++) {
    char key[64];
    status = co_dataset_key(set, row, key, sizeof key);
    if (status == CO_OK) add(d, key, strlen(key) + 1);
    for (int64_t i = 0; status == CO_OK && i < schema->column_count; i++) {
      uint8_t value[64] = {0};
      if (schema->columns[i].type == CO_COLUMN_TEXT) continue;
      status = co_dataset_gather(set, schema->columns[i].name, &row, 1, value);
      add(d, value, sizeof value);
    }
  }
  co_dataset_close(set);
  return status;
}

// All that the library gives of a file, or the status that it refuses with.
static digest read_file(const char *path, bool is_dataset) {
  digest d = {0, 0};
  cohort_context *context;
  cohort_result *result;
  co_context *ctx;
  co_arena *arena;
  co_h5 *h = NULL;
  cohort_context_options silent = {.threads = 1, .log_level = COHORT_LOG_ERROR};
  FUZZ_CHECK(cohort_context_create(&context, &silent) == 0);
  d.status = cohort_inspect(context, path, &result);
  add(&d, cohort_result_json(result), strlen(cohort_result_json(result)));
  if (d.status) { // one line that names the file
    cohort_error error;
    FUZZ_CHECK(cohort_result_error_count(result) == 1 && cohort_result_error(result, 0, &error));
    FUZZ_CHECK((strstr(error.message, path) || strstr(error.file, path)) &&
               !strchr(error.message, '\n'));
  }
  cohort_result_free(result);
  cohort_context_free(context);
  if (d.status) return d;
  FUZZ_CHECK(co_context_create(&ctx, NULL) == CO_OK && co_arena_create(&arena, ctx) == CO_OK);
  if (is_dataset)
    d.status = add_dataset(&d, ctx, path);
  else
    d.status = co_h5_open(&h, ctx, path, CO_ERR_MODEL);
  if (h) d.status = add_group(&d, h, arena, "");
  co_h5_abandon(h);
  co_arena_free(arena);
  FUZZ_CHECK(co_alloc_get_stats(ctx).live_blocks == 0);
  co_context_free(ctx);
  return d;
}

// ---- trying ------------------------------------------------------------------------------------

typedef enum verdict { RIGHT, REFUSED, OTHER_VALUES, OTHER_CODE, CRASH, HANG, VERDICTS } verdict;
static const char *const verdict_names[VERDICTS] = {"right values", "refused in one line",
                                                    "other values", "another code or text",
                                                    "crashes",      "hangs"};

typedef struct counts {
  long tried, of[VERDICTS];
} counts;

typedef struct file {
  const char *path;
  bool is_dataset, foreign;
} file;

typedef struct sweep {
  const char *program;
  file file;
  const uint8_t *bytes;
  size_t size;
  long stride, job, jobs;
  digest wanted;
} sweep;

// In a process of its own. A damaged file never passes for something else than it is.
static int judge_here(const sweep *s, const char *path) {
  digest got = read_file(path, s->file.is_dataset);
  if (got.status == CO_OK) return got.crc == s->wanted.crc ? RIGHT : OTHER_VALUES;
  return got.status == CO_ERR_DATA || got.status == CO_ERR_MODEL ? REFUSED : OTHER_CODE;
}

static bool is_one_line(const char *path) {
  size_t size;
  char *text = (char *)load(path, &size);
  bool fits = size > 0 && strncmp(text, "error[", 6) == 0;
  for (size_t i = 0, errors = 0; i + 6 <= size; i++) {
    errors += strncmp(text + i, "error[", 6) == 0 && (i == 0 || text[i - 1] == '\n');
    if (errors > 1) fits = false;
  }
  free(text);
  return fits;
}

static int judge_program(int status, const char *errors) {
  if (WIFSIGNALED(status)) return CRASH;
  switch (WEXITSTATUS(status)) {
  case 0:
    return RIGHT; // as far as anybody can tell of a file without checksums
  case CO_ERR_DATA:
  case CO_ERR_MODEL:
  case CO_ERR_MEMORY:
    return is_one_line(errors) ? REFUSED : OTHER_CODE;
  default:
    return OTHER_CODE;
  }
}

static void run_program(const sweep *s, const char *path, const char *errors) {
  int out = open("/dev/null", O_WRONLY), err = open(errors, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  dup2(out, 1);
  dup2(err, 2);
  execl(s->program, s->program, "inspect", path, (char *)NULL);
  _exit(127);
}

// The status of a child, or -1 if it had to be ended.
static int wait_for(pid_t child) {
  int status = 0;
  struct timespec pause = {0, 200000};
  for (long waited = 0; waited < SECONDS * 5000L; waited++) {
    pid_t ended = waitpid(child, &status, WNOHANG);
    if (ended == child) return status;
    FUZZ_CHECK(ended == 0);
    nanosleep(&pause, NULL);
  }
  kill(child, SIGKILL);
  waitpid(child, &status, 0);
  return -1;
}

static verdict try_flip(const sweep *s, const char *path, const char *errors) {
  pid_t child = fork();
  FUZZ_CHECK(child >= 0);
  if (child == 0) {
    if (s->file.foreign) run_program(s, path, errors);
    _exit(judge_here(s, path));
  }
  int status = wait_for(child);
  if (status == -1) return HANG;
  if (s->file.foreign) return (verdict)judge_program(status, errors);
  return WIFSIGNALED(status) ? CRASH : (verdict)WEXITSTATUS(status);
}

static bool is_bad(const sweep *s, verdict v) {
  return v > OTHER_VALUES || (v == OTHER_VALUES && !s->file.foreign);
}

static counts sweep_part(sweep *s) {
  counts c = {0};
  char path[64], errors[64];
  snprintf(path, sizeof path, "flipped-%ld.h5", s->job);
  snprintf(errors, sizeof errors, "errors-%ld", s->job);
  if (!s->file.foreign) { // what it gives names its path
    fuzz_write_file(path, s->bytes, s->size);
    s->wanted = read_file(path, s->file.is_dataset);
    FUZZ_CHECK(s->wanted.status == CO_OK);
  }
  uint8_t *bytes = malloc(s->size);
  FUZZ_CHECK(bytes);
  memcpy(bytes, s->bytes, s->size);
  for (size_t at = (size_t)(s->stride * s->job); at < s->size;
       at += (size_t)(s->stride * s->jobs)) {
    uint64_t random = at;
    size_t place = at + fuzz_random(&random) % (size_t)s->stride;
    if (place >= s->size) break;
    uint8_t bit = (uint8_t)(1u << fuzz_random(&random) % 8);
    bytes[place] ^= bit;
    fuzz_write_file(path, bytes, s->size);
    bytes[place] ^= bit;
    verdict v = try_flip(s, path, errors);
    c.tried++;
    c.of[v]++;
    if (is_bad(s, v))
      fprintf(stderr, "%s: byte %zu, bit mask 0x%02x: %s\n", s->file.path, place, bit,
              verdict_names[v]);
  }
  free(bytes);
  return c;
}

// Shares the bytes among processes.
static counts sweep_file(sweep s) {
  counts all = {0};
  int ends[MAX_JOBS];
  for (s.job = 0; s.job < s.jobs; s.job++) {
    int pair[2];
    FUZZ_CHECK(pipe(pair) == 0);
    fflush(stdout);
    pid_t child = fork();
    FUZZ_CHECK(child >= 0);
    if (child == 0) {
      counts part = sweep_part(&s);
      FUZZ_CHECK(write(pair[1], &part, sizeof part) == (ssize_t)sizeof part);
      _exit(0);
    }
    close(pair[1]);
    ends[s.job] = pair[0];
  }
  for (long i = 0; i < s.jobs; i++) {
    counts part;
    int status;
    FUZZ_CHECK(read(ends[i], &part, sizeof part) == (ssize_t)sizeof part);
    close(ends[i]);
    FUZZ_CHECK(wait(&status) > 0 && status == 0);
    all.tried += part.tried;
    for (int v = 0; v < VERDICTS; v++)
      all.of[v] += part.of[v];
  }
  return all;
}

static long sweep_one(const char *program, const file *f, long stride, long jobs) {
  sweep s = {.program = program, .file = *f, .stride = stride, .jobs = jobs};
  s.bytes = load(f->path, &s.size);
  long bad = 0;
  counts c = sweep_file(s);
  printf("%-18s %7zu bytes, %6ld bits:", f->path, s.size, c.tried);
  for (int v = 0; v < VERDICTS; v++) {
    if (v == OTHER_VALUES && f->foreign) continue;
    printf("%s %ld %s", v ? "," : "", c.of[v], verdict_names[v]);
    if (is_bad(&s, (verdict)v)) bad += c.of[v];
  }
  printf("\n");
  FUZZ_CHECK(c.tried > 0);
  free((void *)s.bytes);
  return bad;
}

int main(int argc, char **argv) {
  static const file files[] = {{"dataset.h5", true, false},    {"checkpoint.h5", false, false},
                               {"model.h5", false, false},     {"foreign.h5", true, true},
                               {"old-dataset.h5", true, true}, {"old-checkpoint.h5", false, true},
                               {"old-model.h5", false, true}};
  char folder[64], program[4096], command[96];
  long every = 0, jobs = 1, bad = 0;
  FUZZ_CHECK(argc > 1 && realpath(argv[1], program));
  for (int i = 2; i < argc; i++) {
    FUZZ_CHECK(i + 1 < argc);
    long *number = strcmp(argv[i], "--every") == 0 ? &every : &jobs;
    *number = strtol(argv[++i], NULL, 10);
  }
  jobs = jobs < 1 ? 1 : jobs > MAX_JOBS ? MAX_JOBS : jobs;
  fuzz_enter_folder(folder, sizeof folder);
  pid_t maker = fork(); // threads and HDF5's state stay there
  if (maker == 0) {
    make_files();
    _exit(0);
  }
  int status;
  FUZZ_CHECK(waitpid(maker, &status, 0) == maker && status == 0);
  for (size_t i = 0; i < sizeof files / sizeof *files; i++)
    bad += sweep_one(program, &files[i], every > 0 ? every : files[i].foreign ? 1009 : 37, jobs);
  snprintf(command, sizeof command, "rm -rf '%s'", folder);
  FUZZ_CHECK(chdir("/") == 0 && system(command) == 0);
  if (bad) fprintf(stderr, "flip_bits: %ld of them must not be\n", bad);
  return bad ? 1 : 0;
}
