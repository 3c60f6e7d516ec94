// SPDX-License-Identifier: Apache-2.0
// Models that Keras 1 to 3 saved. Fixtures (scripts/gen_keras) must score as Keras did; of the model files in
// the shared data the table of what is converted, what scores as is stored beside it, and why the others are
// refused must be that of keras/imports.txt. `test_keras --table` prints it.
#include "tests/train/training.h"

#include "host/core/h5.h"

#define GOLDEN COHORT_TEST_SOURCE_DIR "/tests/golden/keras"
#define OK(expression) assert_int_equal(expression, CO_OK)
enum { MOST_FILES = 512, MOST_PORTS = 8 };

// ---- scores ------------------------------------------------------------------------------------

typedef struct numbers {
  co_shape shape;
  float *values;
} numbers;

// The datasets in a group, by name; how many.
static int64_t read_group(co_h5 *file, const char *group, co_arena *arena, numbers *out) {
  char **names, path[512];
  int64_t count;
  co_h5_info info;
  if (!co_h5_exists(file, group)) return 0;
  OK(co_h5_list(file, group, arena, &names, &count));
  assert_in_range(count, 1, MOST_PORTS);
  for (int64_t i = 0; i < count; i++) {
    snprintf(path, sizeof path, "%s/%s", group, names[i]);
    OK(co_h5_get_info(file, path, &info));
    out[i].shape = info.shape;
    out[i].values = co_arena_alloc(arena, (size_t)co_shape_count(&info.shape) + 1, sizeof(float));
    OK(co_h5_read(file, path, CO_F32, &info.shape, out[i].values));
  }
  return count;
}

// A data set of the inputs: the rows as the model's columns have them. One input is called as it likes.
static void write_rows(co_context *ctx, const co_column *columns, const numbers *x,
                       int64_t inputs) {
  co_dataset_writer *writer;
  const int64_t rows = x->shape.dim[0];
  OK(co_dataset_writer_create(&writer, ctx, "rows.h5"));
  for (int64_t k = 0; k < inputs; k++) {
    co_column stored = columns[k];
    const bool image = stored.type == CO_COLUMN_IMAGE;
    const int64_t count = co_shape_count(&x[k].shape);
    uint8_t *bytes = co_alloc(ctx, (size_t)count);
    if (inputs == 1) stored.name = "x";
    assert_int_equal(co_shape_count(&stored.shape) * rows, count);
    for (int64_t i = 0; image && i < count; i++)
      bytes[i] = (uint8_t)x[k].values[i];
    OK(co_dataset_writer_column(writer, "e", &stored, rows));
    OK(co_dataset_writer_rows(writer, rows, image ? (void *)bytes : x[k].values));
    co_free(ctx, bytes);
  }
  OK(co_dataset_writer_samples(writer, "e", rows, NULL, NULL, NULL));
  OK(co_dataset_writer_commit(writer, NULL));
  co_dataset_writer_free(writer);
}

typedef struct comparison {
  const co_column *targets;
  const numbers *wanted;
  int64_t outputs;
  double most;
} comparison;

// The i-th number of a target's score.
static const float *score_of(const cohort_scores *scores, const co_column *target, int64_t i) {
  char name[256];
  if (target->type == CO_COLUMN_CATEGORY)
    snprintf(name, sizeof name, "%s:%lld", target->name, (long long)i);
  else if (target->type == CO_COLUMN_VECTOR)
    snprintf(name, sizeof name, "%s_%lld", target->name, (long long)i);
  else
    snprintf(name, sizeof name, "%s%s", target->name,
             target->type == CO_COLUMN_BINARY ? "_score" : "");
  for (int64_t k = 0; k < scores->column_count; k++)
    if (strcmp(scores->names[k], name) == 0) return scores->values[k];
  fail_msg("no column '%s'", name);
  return NULL;
}

static void compare(void *user, const cohort_scores *scores) {
  comparison *c = user;
  for (int64_t k = 0; k < c->outputs; k++) {
    const int64_t width = co_shape_count(&c->wanted[k].shape) / c->wanted[k].shape.dim[0];
    for (int64_t i = 0; i < width; i++) {
      const float *values = score_of(scores, &c->targets[k], i);
      for (int64_t row = 0; row < scores->rows; row++) {
        const float have = values[row],
                    want = c->wanted[k].values[(scores->first + row) * width + i];
        const double off = fabs((double)have - (double)want);
        c->most = off > c->most || isnan(off) ? off : c->most;
      }
    }
  }
}

// How far scores of a model are from those that are stored; -1 where none are.
static double difference(cohort_context *context, const char *model, const char *stored,
                         const char *device) {
  co_context *ctx = context->ctx;
  co_arena *arena;
  co_h5 *file;
  numbers x[MOST_PORTS], y[MOST_PORTS];
  co_model_file opened;
  if (access(stored, R_OK) != 0) return -1;
  OK(co_arena_create(&arena, ctx));
  OK(co_h5_open(&file, ctx, stored, CO_ERR_DATA));
  const int64_t inputs = read_group(file, "/inputs", arena, x),
                predicted = read_group(file, "/predictions", arena, y); // outputs: what was learned
  co_h5_abandon(file);
  if (!predicted) {
    co_arena_free(arena);
    return -1;
  }
  OK(co_model_file_read(&opened, arena, model));
  write_rows(ctx, opened.schema.columns, x, inputs);
  comparison c = {.targets = opened.schema.columns + inputs, .wanted = y, .outputs = predicted};
  cohort_result *result;
  const cohort_predict_options options = {
      .model = model, .dataset = "rows.h5", .device = device, .take = compare, .take_user = &c};
  if (cohort_predict(context, &options, &result) != 0) fail_msg("%s", cohort_result_json(result));
  cohort_result_free(result);
  co_arena_free(arena);
  return c.most;
}

// `shape`: --input-shape, or NULL.
static cohort_status convert_shaped(cohort_context *context, const char *file, const char *shape) {
  cohort_result *result;
  const cohort_convert_options options = {.file = file,
                                          .output = "model.h5",
                                          .input_shapes = &shape,
                                          .input_shape_count = shape != NULL,
                                          .force = true};
  cohort_status status = cohort_convert(context, &options, &result);
  cohort_result_free(result);
  return status;
}

static cohort_status convert(cohort_context *context, const char *file) {
  return convert_shaped(context, file, NULL);
}

// ---- the table ---------------------------------------------------------------------------------

typedef struct table {
  co_text text;
  int64_t files, converted, stored, equal, shaped; // those of a length that is given
  struct {
    char why[200];
    int64_t files;
  } reason[MOST_FILES];
  int64_t reasons;
} table;

// A reason without the layer's name: "CLASS: what".
static void count_reason(table *t, const char *message) {
  const char *at = strstr(message, "' (");
  char why[200];
  snprintf(why, sizeof why, "%.190s", strncmp(message, "layer '", 7) == 0 && at ? at + 3 : message);
  char *close = strstr(why, "): ");
  if (close) memmove(close, close + 1, strlen(close + 1) + 1);
  for (int64_t i = 0; i < t->reasons; i++)
    if (strcmp(t->reason[i].why, why) == 0) {
      t->reason[i].files++;
      return;
    }
  memcpy(t->reason[t->reasons].why, why, sizeof why);
  t->reason[t->reasons++].files = 1;
}

static void add_file(table *t, cohort_context *context, const char *folder, const char *name) {
  char path[1024], stored[1024];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  snprintf(stored, sizeof stored, "%s/%s", folder, name);
  char *end = strstr(stored, "_model.h5");
  if (end) snprintf(end, sizeof stored - (size_t)(end - stored), "_inputs_and_outputs.h5");
  cohort_status status = convert(context, path);
  static const char option[] = "--input-shape ";
  char shape[sizeof co_error_last()->hint] = "";
  if (status != CO_OK && strncmp(co_error_last()->hint, option, sizeof option - 1) == 0) {
    snprintf(shape, sizeof shape, "%s", co_error_last()->hint + sizeof option - 1);
    status = convert_shaped(context, path, shape);
    t->shaped += status == CO_OK;
  }
  const char *message = co_error_last()->message;
  if (status == CO_ERR_MODEL && strstr(message, "no model_config")) return; // weights, or rows
  t->files++;
  co_text_printf(&t->text, "%s\t", name);
  if (status != CO_OK) {
    if (status != CO_ERR_MODEL) fail_msg("%s: %s", name, message);
    const char *cut = strstr(message, "' is not an HDF5");
    co_text_printf(&t->text, "refused\t%s\n", cut ? cut + 2 : message);
    count_reason(t, cut ? cut + 2 : message);
    return;
  }
  t->converted++;
  const double off = end ? difference(context, "model.h5", stored, "cpu") : -1;
  t->stored += off >= 0;
  t->equal += off >= 0 && off <= 1e-5;
  co_text_printf(&t->text, "converted\t%s%s%s\n",
                 off < 0       ? ""
                 : off <= 1e-5 ? "equal"
                               : "DIFFERENT",
                 *shape ? option : "", shape);
}

static int by_name(const void *a, const void *b) {
  return strcmp(*(char *const *)a, *(char *const *)b);
}

static int by_files(const void *a, const void *b) {
  const int64_t *x = (const int64_t *)((const char *)a + 200),
                *y = (const int64_t *)((const char *)b + 200);
  return *x != *y ? (*x < *y) - (*x > *y) : strcmp(a, b);
}

static bool add_folder(table *t, cohort_context *context, const char *folder) {
  char *names[MOST_FILES];
  int64_t count = 0;
  DIR *stream = opendir(folder);
  if (!stream) return false;
  for (struct dirent *entry; (entry = readdir(stream)) && count < MOST_FILES;)
    if (strstr(entry->d_name, ".h5") || strstr(entry->d_name, ".hdf5") ||
        strstr(entry->d_name, ".keras"))
      names[count++] = strdup(entry->d_name);
  closedir(stream);
  qsort(names, (size_t)count, sizeof *names, by_name);
  for (int64_t i = 0; i < count; i++) {
    add_file(t, context, folder, names[i]);
    free(names[i]);
  }
  return true;
}

// False where there is no shared data.
static bool make_table(cohort_context *context, co_text *out) {
  const char *root = getenv("COHORT_TEST_DATA");
  char folder[1024];
  table *t = calloc(1, sizeof *t);
  assert_non_null(t);
  co_text_init(&t->text, context->ctx);
  snprintf(folder, sizeof folder, "%s/keras_h5/dl4j", root ? root : COHORT_TEST_DATA_DEFAULT);
  bool there = add_folder(t, context, folder);
  const int64_t counted = t->files, converted = t->converted;
  if (there) {
    folder[strlen(folder) - 5] = '\0';
    add_folder(t, context, folder);
    co_text_printf(out, "%lld models of dl4j, %lld of others\n", (long long)counted,
                   (long long)(t->files - counted));
    co_text_printf(
        out,
        "%lld and %lld are converted, %lld of them with the length that they leave open;\n"
        "of %lld with stored outputs %lld are equal\n\n",
        (long long)converted, (long long)(t->converted - converted), (long long)t->shaped,
        (long long)t->stored, (long long)t->equal);
    qsort(t->reason, (size_t)t->reasons, sizeof *t->reason, by_files);
    for (int64_t i = 0; i < t->reasons; i++)
      co_text_printf(out, "%4lld refused: %s\n", (long long)t->reason[i].files, t->reason[i].why);
    co_text_printf(out, "\n%s", t->text.data);
  }
  co_text_free(&t->text);
  free(t);
  return there;
}

static void test_shared_files(void **state) {
  cohort_context *context;
  co_text text;
  (void)state;
  OK(cohort_context_create(&context, NULL));
  co_text_init(&text, context->ctx);
  if (make_table(context, &text)) {
    char *wanted;
    size_t length;
    OK(co_read_file(context->ctx, GOLDEN "/imports.txt", 1 << 20, CO_ERR_DATA, &wanted, &length));
    assert_string_equal(text.data, wanted);
    co_free(context->ctx, wanted);
  } else {
    print_message("NOT RUN: no keras_h5 (set COHORT_TEST_DATA; shared data)\n");
  }
  co_text_free(&text);
  cohort_context_free(context);
}

// ---- fixtures ----------------------------------------------------------------------------------

// To the group that is called as the layer is in the config.
static void copy_layer(co_h5 *from, co_h5 *to, co_arena *arena, char *layer) {
  char group[512], copy[512], path[1024], **names;
  int64_t count;
  co_h5_info info;
  snprintf(group, sizeof group, "/model_weights/%s", layer);
  OK(co_h5_get_strings(from, group, "weight_names", arena, &names, &count));
  for (char *at = layer; *at; at++)
    if (*at == '/' || *at == '.') *at = '_';
  snprintf(copy, sizeof copy, "/model_weights/%s", layer);
  OK(co_h5_make_group(to, copy));
  for (int64_t i = 0; i < count; i++) {
    snprintf(path, sizeof path, "%s/%s", group, names[i]);
    OK(co_h5_get_info(from, path, &info));
    float *values = co_arena_alloc(arena, (size_t)co_shape_count(&info.shape) + 1, sizeof(float));
    OK(co_h5_read(from, path, CO_F32, &info.shape, values));
    snprintf(path, sizeof path, "%s/%s", copy, names[i]);
    OK(co_h5_write(to, path, CO_F32, &info.shape, values, NULL, false));
  }
  OK(co_h5_set_strings(to, copy, "weight_names", (const char *const *)names, count));
}

// Of model.h5 what Keras reads of it, as keras.h5. False where there is none.
static bool keep_keras(cohort_context *context) {
  co_arena *arena;
  co_h5 *from, *to;
  char *config, **layers;
  int64_t count;
  OK(co_arena_create(&arena, context->ctx));
  OK(co_h5_open(&from, context->ctx, "model.h5", CO_ERR_MODEL));
  const bool there = co_h5_has_attribute(from, "/", "model_config");
  if (there) {
    OK(co_h5_create(&to, context->ctx, "keras.h5"));
    OK(co_h5_get_string(from, "/", "model_config", arena, &config));
    OK(co_h5_set_string(to, "/", "model_config", config));
    OK(co_h5_set_string(to, "/", "keras_version", "3.6.0"));
    OK(co_h5_get_strings(from, "/model_weights", "layer_names", arena, &layers, &count));
    for (int64_t i = 0; i < count; i++)
      copy_layer(from, to, arena, layers[i]);
    OK(co_h5_set_strings(to, "/model_weights", "layer_names", (const char *const *)layers, count));
    OK(co_h5_close(to));
  } else {
    assert_true(co_h5_has_attribute(from, "/model_weights", "not_for_keras"));
  }
  co_h5_abandon(from);
  co_arena_free(arena);
  return there;
}

static void test_fixtures(void **state) {
  cohort_context *context;
  char path[1024], stored[1024];
  int64_t count = 0, returned = 0;
  (void)state;
  OK(cohort_context_create(&context, NULL));
  DIR *stream = opendir(GOLDEN);
  assert_non_null(stream);
  for (struct dirent *entry; (entry = readdir(stream));) {
    const char *end = strstr(entry->d_name, ".model.");
    if (!end) continue;
    snprintf(path, sizeof path, "%s/%s", GOLDEN, entry->d_name);
    snprintf(stored, sizeof stored, "%s/%.*s.rows.h5", GOLDEN, (int)(end - entry->d_name),
             entry->d_name);
    if (convert(context, path) != 0) fail_msg("%s: %s", path, co_error_last()->message);
    static const char *const devices[] = {"cpu", "ref"};
    for (int i = 0; i < 2; i++) {
      const double off = difference(context, "model.h5", stored, devices[i]);
      if (!(off >= 0 && off <= 1e-5)) fail_msg("%s: %g on %s", path, off, devices[i]);
    }
    count++;
    if (!keep_keras(context)) continue;
    if (convert(context, "keras.h5") != 0) fail_msg("%s: %s", path, co_error_last()->message);
    const double off = difference(context, "model.h5", stored, "cpu");
    if (!(off >= 0 && off <= 1e-5)) fail_msg("%s: %g by way of Keras", path, off);
    returned++;
  }
  closedir(stream);
  assert_int_equal(returned, count - 1); // but SeparableConv2D
  cohort_context_free(context);
}

// What no row of the table has is refused, by its row.
static void test_wild_index(void **state) {
  cohort_context *context;
  co_arena *arena;
  co_h5 *file;
  co_model_file opened;
  numbers x[MOST_PORTS];
  (void)state;
  OK(cohort_context_create(&context, NULL));
  OK(co_arena_create(&arena, context->ctx));
  assert_int_equal(convert(context, GOLDEN "/embedded.model.h5"), 0);
  OK(co_h5_open(&file, context->ctx, GOLDEN "/embedded.rows.h5", CO_ERR_DATA));
  assert_int_equal(read_group(file, "/inputs", arena, x), 1);
  co_h5_abandon(file);
  OK(co_model_file_read(&opened, arena, "model.h5"));
  static const float wild[] = {11, -1, 0.5f};
  for (size_t i = 0; i < sizeof wild / sizeof *wild; i++) {
    cohort_result *result;
    x->values[2 * 7 + 3] = wild[i];
    write_rows(context->ctx, opened.schema.columns, x, 1);
    const cohort_predict_options options = {
        .model = "model.h5", .dataset = "rows.h5", .output = "wild.csv", .force = true};
    assert_int_equal(cohort_predict(context, &options, &result), CO_ERR_DATA);
    assert_non_null(strstr(cohort_result_json(result), "row 2: "));
    assert_non_null(strstr(cohort_result_json(result), "no whole number from 0 to 10"));
    cohort_result_free(result);
  }
  co_arena_free(arena);
  cohort_context_free(context);
}

// ---- made files --------------------------------------------------------------------------------

// made.h5: a config, and `count` weights of three numbers, all 1, of a layer "a".
static void make_file(co_context *ctx, const char *version, const char *config, int count) {
  static const char *const names[] = {"0", "1", "2", "3"};
  static const float ones[] = {1, 1, 1};
  const co_shape shape = co_shape_make(1, (int64_t)3);
  char path[32];
  co_h5 *file;
  OK(co_h5_create(&file, ctx, "made.h5"));
  OK(co_h5_set_string(file, "/", "model_config", config));
  OK(co_h5_set_string(file, "/", "keras_version", version));
  OK(co_h5_make_group(file, "/model_weights/a"));
  OK(co_h5_set_strings(file, "/model_weights/a", "weight_names", names, count));
  for (int i = 0; i < count; i++) {
    snprintf(path, sizeof path, "/model_weights/a/%d", i);
    OK(co_h5_write(file, path, CO_F32, &shape, ones, NULL, false));
  }
  OK(co_h5_close(file));
}

#define SEQUENTIAL(layers) "{\"class_name\": \"Sequential\", \"config\": [" layers "]}"
#define LAYER(class_, config) "{\"class_name\": \"" class_ "\", \"config\": {" config "}}"
#define OVER(shape) "\"batch_input_shape\": [null, " shape "]"
#define WIDE LAYER("RepeatVector", "\"n\": 16777217, " OVER("1")) "," LAYER("Flatten", "")
#define BYTES64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define EACH(inner) LAYER("TimeDistributed", "\"name\": \"a\", " OVER("4, 3") ", \"layer\": " inner)

#define CALLED_TWICE                                                                               \
  "{\"class_name\": \"Model\", \"config\": {\"name\": \"a\", \"layers\": ["                        \
  "{\"class_name\": \"InputLayer\", \"name\": \"i\", \"config\": {" OVER(                          \
      "3") "}, \"inbound_nodes\": []},"                                                            \
           "{\"class_name\": \"LayerNormalization\", \"name\": \"n\", \"config\": {}, "            \
           "\"inbound_nodes\": [[[\"i\", 0, 0]], [[\"n\", 0, 0]]]}], "                             \
           "\"input_layers\": [[\"i\", 0, 0]], \"output_layers\": [[\"n\", 1, 0]]}}"

// A chain of layers, of which the first is a model like it, `models` within each other.
static void print_chain(co_text *text, int layers, int models) {
  static const char layer[] = ", {\"class_name\": \"ReLU\", \"config\": {}";
  static const char call[] = ", \"name\": \"%d\", \"inbound_nodes\": [[[\"%d\", 0, 0]]]}";
  co_text_printf(text,
                 "{\"class_name\": \"Model\", \"config\": {\"layers\": ["
                 "{\"class_name\": \"InputLayer\", \"name\": \"0\", \"config\": {" OVER("3") "}}");
  for (int i = 1; i < layers; i++) {
    if (i == 1 && models > 1) {
      co_text_printf(text, ", ");
      print_chain(text, layers, models - 1);
    } else {
      co_text_printf(text, "%s", layer);
    }
    co_text_printf(text, call, i, i - 1);
  }
  co_text_printf(text, "], \"input_layers\": [[\"0\", 0, 0]], \"output_layers\": [[\"%d\", 0, 0]]}",
                 layers - 1);
}

static void test_deep_models(void **state) {
  cohort_context *context;
  co_text text;
  (void)state;
  OK(cohort_context_create(&context, NULL));
  co_text_init(&text, context->ctx);
  print_chain(&text, 2100, 2);
  co_text_printf(&text, "}");
  make_file(context->ctx, "2.3.1", text.data, 0);
  co_text_free(&text);
  assert_int_equal(convert(context, "made.h5"), CO_ERR_MODEL);
  if (!strstr(co_error_last()->message, "more than 4096 layers wait for it"))
    fail_msg("%s", co_error_last()->message);
  cohort_context_free(context);
}

// Layers that are all called alike get names of their own without looking at all of them again for each number.
static void test_like_names(void **state) {
  cohort_context *context;
  co_text text;
  (void)state;
  OK(cohort_context_create(&context, NULL));
  co_text_init(&text, context->ctx);
  co_text_printf(&text, "{\"class_name\": \"Sequential\", \"config\": [");
  for (int i = 0; i < 2500; i++)
    co_text_printf(&text, "%s%s", i ? ", " : "", LAYER("ReLU", "\"name\": \"a\", " OVER("3")));
  co_text_printf(&text, "]}");
  make_file(context->ctx, "2.3.1", text.data, 0);
  co_text_free(&text);
  if (convert(context, "made.h5") != CO_OK) fail_msg("%s", co_error_last()->message);
  cohort_context_free(context);
}

static void test_refusals(void **state) {
  static const struct {
    const char *version, *config, *message;
  } cases[] = {
      {"2.3.1", SEQUENTIAL(EACH(LAYER("Dense Activation", ""))),
       "there is none around a Dense Activation"},
      {"2.3.1", SEQUENTIAL(EACH(LAYER("LayerNormalization", "\"axis\": [2]"))),
       "there is no axis but the last: 2"},
      {"2.3.1",
       SEQUENTIAL(LAYER("TimeDistributed",
                        "\"name\": \"a\", " OVER("3") ", \"layer\": " LAYER("ReLU", ""))),
       "(TimeDistributed): its input has no events: it needs two dimensions or more"},
      // What a model within a model says of its size is believed as far as the file has numbers.
      {"2.3.1",
       SEQUENTIAL(LAYER("Dropout", "\"rate\": 0.5, " OVER("1000")) "," LAYER(
           "Sequential",
           "\"name\": \"a\", \"layers\": [" LAYER("Dense", "\"units\": 1000000") "]")),
       "(Dense): its model has fewer numbers in the file than its kernel needs"},
      // Nothing is made for each of millions of channels or classes, or layers within a long name.
      {"2.3.1",
       SEQUENTIAL(WIDE "," LAYER("LayerNormalization", "\"scale\": false, \"center\": false")),
       "(LayerNormalization): its input has far too many channels"},
      {"2.3.1", SEQUENTIAL(WIDE "," LAYER("Softmax", "")), "an output has far too many classes"},
      {"2.3.1",
       SEQUENTIAL(LAYER("Sequential", "\"name\": \"" BYTES64 BYTES64 BYTES64
                                      "\", \"layers\": [" LAYER("ReLU", "\"name\": \"" BYTES64
                                                                        "\", " OVER("3")) "]")),
       "has more than 255 bytes"},
      {"1.2.2",
       SEQUENTIAL(LAYER(
           "LSTM",
           "\"output_dim\": 2147483647, \"inner_activation\": \"sigmoid\", " OVER("2, 524288"))),
       "the file has 0 weights of it; its kernel is missing"},
      {"3.6.0",
       "{\"class_name\": \"Functional\", \"config\": {\"layers\": ["
       "{\"class_name\": \"InputLayer\", \"name\": \"i\", \"config\": {" OVER(
           "3") "}}," CALLED_TWICE "], \"input_layers\": [[\"i\", 0, 0]], \"output_layers\": "
                "[[\"a\", -9223372036854775808, 0]]}}",
       "a layer's input is no [layer, node, tensor]"},
  };
  cohort_context *context;
  (void)state;
  OK(cohort_context_create(&context, NULL));
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    make_file(context->ctx, cases[i].version, cases[i].config, 0);
    assert_int_equal(convert(context, "made.h5"), CO_ERR_MODEL);
    if (!strstr(co_error_last()->message, cases[i].message))
      fail_msg("%s instead of: %s", co_error_last()->message, cases[i].message);
  }
  cohort_context_free(context);
}

static void test_accepted(void **state) {
  static const struct {
    const char *config;
    int weights;
  } cases[] = {
      // Keras 2 stores the axis of one event: of (N, 3) it is 1.
      {SEQUENTIAL(EACH(LAYER("BatchNormalization", "\"axis\": [1]"))), 4},
      {SEQUENTIAL(EACH(LAYER("LayerNormalization", "\"axis\": [1]"))), 2},
      // Weights of a layer that a model within a model calls twice are counted once.
      {SEQUENTIAL(LAYER("Dropout", "\"rate\": 0.5, " OVER("3")) "," CALLED_TWICE), 2},
  };
  cohort_context *context;
  (void)state;
  OK(cohort_context_create(&context, NULL));
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    make_file(context->ctx, "2.3.1", cases[i].config, cases[i].weights);
    if (convert(context, "made.h5") != CO_OK) fail_msg("%s", co_error_last()->message);
  }
  cohort_context_free(context);
}

int main(int argc, char **argv) {
  if (argc > 1 && strcmp(argv[1], "--table") == 0) {
    cohort_context *context;
    co_text text;
    void *state;
    if (enter_folder(&state) != 0 || cohort_context_create(&context, NULL) != CO_OK) return 1;
    co_text_init(&text, context->ctx);
    const bool there = make_table(context, &text);
    fputs(there ? text.data : "there is no keras_h5: set COHORT_TEST_DATA\n",
          there ? stdout : stderr);
    co_text_free(&text);
    cohort_context_free(context);
    return leave_folder(&state) || !there;
  }
  const struct CMUnitTest tests[] = {
      TRAINING_TEST(test_fixtures),    TRAINING_TEST(test_wild_index),
      TRAINING_TEST(test_refusals),    TRAINING_TEST(test_accepted),
      TRAINING_TEST(test_deep_models), TRAINING_TEST(test_like_names),
      TRAINING_TEST(test_shared_files)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
