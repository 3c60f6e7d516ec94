// SPDX-License-Identifier: Apache-2.0
// Input: the model_config of a file of Keras, whose layers `a` and `b` have weights, or a .keras archive. It
// becomes a model that can be read, or one line that says why not. (Bytes that are not HDF5 are the library's
// business.)
#include "tests/fuzz/driver.h"

#include "host/api/api.h"
#include "host/core/h5.h"
#include "host/persist/model_file.h"

static void write_weights(co_h5 *file, const char *layer, const co_shape *shapes, int count) {
  static const float values[64] = {1, -1, 0.5f};
  const char *names[4] = {"w0", "w1", "w2", "w3"};
  char path[64];
  snprintf(path, sizeof path, "/model_weights/%s", layer);
  FUZZ_CHECK(co_h5_make_group(file, path) == CO_OK);
  FUZZ_CHECK(co_h5_set_strings(file, path, "weight_names", names, count) == CO_OK);
  for (int i = 0; i < count; i++) {
    snprintf(path, sizeof path, "/model_weights/%s/%s", layer, names[i]);
    FUZZ_CHECK(co_h5_write(file, path, CO_F32, &shapes[i], values, NULL, false) == CO_OK);
  }
}

static void write_file(co_context *ctx, const char *config) {
  co_h5 *file;
  const co_shape dense[] = {co_shape_make(2, (int64_t)3, (int64_t)4), co_shape_make(1, (int64_t)4)};
  const co_shape cell[] = {co_shape_make(2, (int64_t)4, (int64_t)4),
                           co_shape_make(2, (int64_t)1, (int64_t)4), co_shape_make(1, (int64_t)4)};
  FUZZ_CHECK(co_h5_create(&file, ctx, "f.h5") == CO_OK);
  FUZZ_CHECK(co_h5_set_string(file, "/", "model_config", config) == CO_OK);
  FUZZ_CHECK(co_h5_set_string(file, "/", "keras_version", "2.3.1") == CO_OK);
  write_weights(file, "a", dense, 2);
  write_weights(file, "b", cell, 3);
  FUZZ_CHECK(co_h5_close(file) == CO_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  cohort_context *context;
  cohort_result *result;
  co_arena *arena;
  FUZZ_CHECK(cohort_context_create(&context, NULL) == 0);
  const int64_t blocks = co_alloc_get_stats(context->ctx).live_blocks;
  FUZZ_CHECK(co_arena_create(&arena, context->ctx) == CO_OK);
  if (size > 2 && memcmp(data, "PK", 2) == 0)
    fuzz_write_file("f.h5", data, size);
  else
    write_file(context->ctx, co_arena_strndup(arena, (const char *)data, size));
  const cohort_convert_options options = {.file = "f.h5", .output = "m.h5", .force = true};
  const co_status status = (co_status)cohort_convert(context, &options, &result);
  if (status != CO_OK && status != CO_ERR_MODEL && status != CO_ERR_USAGE)
    fprintf(stderr, "%.*s\n%d: %s\n", (int)size, (const char *)data, (int)status,
            co_error_last()->message);
  FUZZ_CHECK(status == CO_OK || status == CO_ERR_MODEL || status == CO_ERR_USAGE);
  if (status == CO_OK) {
    co_model_file file;
    FUZZ_CHECK(co_model_file_read(&file, arena, "m.h5") == CO_OK);
  }
  cohort_result_free(result);
  co_arena_free(arena);
  FUZZ_CHECK(co_alloc_get_stats(context->ctx).live_blocks == blocks);
  cohort_context_free(context);
  return 0;
}

#ifndef FUZZ_WITHOUT_MAIN
static const char *const samples[] = {
    // A model within a model, called twice.
    "{\"class_name\":\"Model\",\"config\":{\"layers\":[{\"class_name\":\"InputLayer\",\"name\":"
    "\"i\",\"config\":{"
    "\"name\":\"i\",\"batch_input_shape\":[null,3]},\"inbound_nodes\":[]},{\"class_name\":"
    "\"Model\",\"name\":\"a\","
    "\"config\":{\"name\":\"a\",\"layers\":[{\"class_name\":\"InputLayer\",\"name\":\"j\","
    "\"config\":{\"name\":\"j\","
    "\"batch_input_shape\":[null,3]},\"inbound_nodes\":[]},{\"class_name\":\"Dense\",\"name\":"
    "\"d\",\"config\":{"
    "\"name\":\"d\",\"units\":4},\"inbound_nodes\":[[[\"j\",0,0,{}]]]}],\"input_layers\":[[\"j\",0,"
    "0]],"
    "\"output_layers\":[[\"d\",0,0]]},\"inbound_nodes\":[[[\"i\",0,0,{}]],[[\"i\",0,0,{"
    "\"training\":false}]]]},"
    "{\"class_name\":\"Add\",\"name\":\"s\",\"config\":{\"name\":\"s\"},\"inbound_nodes\":[[[\"a\","
    "1,0,{}],[\"a\",2,0,{}]]]}],"
    "\"input_layers\":[[\"i\",0,0]],\"output_layers\":[[\"s\",0,0]]}}",
    "{\"class_name\":\"Sequential\",\"config\":[{\"class_name\":\"Dense\",\"config\":{\"name\":"
    "\"a\","
    "\"units\":4,\"activation\":\"softmax\",\"batch_input_shape\":[null,3],\"use_bias\":true}}]}",
    "{\"class_name\":\"Sequential\",\"config\":{\"layers\":[{\"class_name\":\"InputLayer\","
    "\"config\":{"
    "\"name\":\"i\",\"batch_shape\":[null,6]}},{\"class_name\":\"Reshape\",\"config\":{\"target_"
    "shape\":[-1,"
    "3]}},{\"class_name\":\"Dense\",\"config\":{\"name\":\"a\",\"units\":4}},{\"class_name\":"
    "\"LSTM\","
    "\"config\":{\"name\":\"b\",\"units\":1,\"return_sequences\":true}},{\"class_name\":"
    "\"Flatten\","
    "\"config\":{}}]}}",
    "{\"class_name\":\"Model\",\"config\":{\"layers\":[{\"class_name\":\"InputLayer\",\"name\":"
    "\"i\","
    "\"config\":{\"batch_input_shape\":[null,3]},\"inbound_nodes\":[]},{\"class_name\":\"Dense\","
    "\"name\":"
    "\"a\",\"config\":{\"units\":4},\"inbound_nodes\":[[[\"i\",0,0,{}]]]},{\"class_name\":\"Add\","
    "\"name\":"
    "\"c\",\"config\":{},\"inbound_nodes\":[[[\"a\",0,0,{}],[\"a\",0,0,{}]]]}],\"input_layers\":[["
    "\"i\",0,0]],"
    "\"output_layers\":[[\"c\",0,0]]}}",
    "{\"class_name\":\"Sequential\",\"config\":[{\"class_name\":\"ZeroPadding2D\",\"config\":{"
    "\"padding\":["
    "[1,0],[2,2]],\"batch_input_shape\":[null,4,4,2]}},{\"class_name\":\"MaxPooling2D\",\"config\":"
    "{"
    "\"pool_size\":[2,3],\"strides\":null,\"padding\":\"same\"}},{\"class_name\":\"UpSampling2D\","
    "\"config\":{"
    "\"size\":2}},{\"class_name\":\"GlobalAveragePooling2D\",\"config\":{}},{\"class_name\":"
    "\"RepeatVector\","
    "\"config\":{\"n\":3}},{\"class_name\":\"ELU\",\"config\":{\"alpha\":0.5}}]}"};

enum { ROOM = 1 << 16, DIRECTORY = 240 };

static size_t read_archive(uint8_t *out) {
  FILE *stream = fopen(COHORT_TEST_SOURCE_DIR "/tests/golden/keras/functional.model.keras", "rb");
  FUZZ_CHECK(stream);
  const size_t size = fread(out, 1, ROOM, stream);
  FUZZ_CHECK(fclose(stream) == 0 && size > DIRECTORY && size < ROOM - DIRECTORY);
  return size;
}

// Its directory and end, or its first header and text.
static size_t mutate_archive(uint8_t *data, size_t size, uint64_t *random) {
  if (fuzz_random(random) % 4 == 0) {
    data[fuzz_random(random) % 200] ^= (uint8_t)(1u << fuzz_random(random) % 8);
    return size;
  }
  const size_t end = size - DIRECTORY;
  return end + fuzz_mutate(data + end, DIRECTORY, 2 * DIRECTORY, random);
}

int main(int argc, char **argv) {
  long inputs = argc > 1 ? strtol(argv[1], NULL, 10) : 1500;
  uint64_t random = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
  enum { SAMPLES = sizeof samples / sizeof *samples };
  static uint8_t data[ROOM], archive[ROOM];
  char folder[64];
  const size_t archive_size = read_archive(archive);
  fuzz_enter_folder(folder, sizeof folder);
  for (long i = 0; i < inputs; i++) {
    size_t size = strlen(samples[i % SAMPLES]);
    memcpy(data, samples[i % SAMPLES], size);
    if (i >= SAMPLES) size = fuzz_mutate(data, size, 1024, &random);
    if (i % 4 == 3) {
      memcpy(data, archive, archive_size);
      size = i > 3 ? mutate_archive(data, archive_size, &random) : archive_size;
    }
    LLVMFuzzerTestOneInput(data, size);
  }
  printf("fuzz_keras: %ld inputs\n", inputs);
  remove("m.h5");
  FUZZ_CHECK(remove("f.h5") == 0 && chdir("/") == 0 && rmdir(folder) == 0);
  return 0;
}
#endif
