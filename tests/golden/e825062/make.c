// SPDX-License-Identifier: Apache-2.0
// Made the files beside it (README.md). The dataset: 40 images with numbers and a vector, of which 48
// samples are seen; two targets, sometimes missing; weights; a key. The run: stopped amid an epoch.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datasets/writer.h"
#include "host/cohort.h"
#include "host/core/rng.h"

enum { ROWS = 40, SAMPLES = 48, SIDE = 6, WIDTH = 4, CLASSES = 3 };

static uint32_t draw(uint32_t index, uint32_t purpose, uint32_t below) {
  return co_random_bits(825062, index, 0, purpose) % below;
}

static uint8_t image[ROWS][SIDE * SIDE], split[SAMPLES];
static float number[2][ROWS], vector[ROWS][WIDTH], score[SAMPLES], weight[SAMPLES];
static int32_t label[SAMPLES];
static int64_t entity_row[SAMPLES], as_of[SAMPLES], visit[SAMPLES];
static char text[ROWS][16];
static const char *key[ROWS];

static void fill(void) {
  int kind[ROWS];
  for (uint32_t r = 0; r < ROWS; r++) {
    kind[r] = (int)draw(r, 1, CLASSES);
    for (uint32_t p = 0; p < SIDE * SIDE; p++) // the bright rows of pixels tell the class
      image[r][p] =
          (uint8_t)(draw(r * SIDE * SIDE + p, 2, 120) + ((int)(p / SIDE / 2) == kind[r] ? 100 : 0));
    number[0][r] = (float)draw(r, 3, 80);
    number[1][r] = (float)draw(r, 4, 1000) / 8 - 60;
    for (uint32_t i = 0; i < WIDTH; i++)
      vector[r][i] = (float)draw(r * WIDTH + i, 5, 256) / 64 - 2;
    snprintf(text[r], sizeof text[r], "product %u", (unsigned)(100 + r));
    key[r] = text[r];
  }
  for (uint32_t s = 0; s < SAMPLES; s++) {
    uint32_t r = s < ROWS ? s : draw(s, 6, ROWS);
    entity_row[s] = r;
    as_of[s] = 1700000000 + 86400 * (int64_t)s;
    visit[s] = 5000 + (int64_t)s;
    label[s] = s % 17 == 5 ? -1 : kind[r];
    score[s] = s % 11 == 3 ? NAN : number[0][r] / 40 + vector[r][0] - vector[r][1];
    weight[s] = (float)(1 + draw(s, 7, 4)) / 2;
    split[s] = (uint8_t)(s % 6 == 4 ? 1 : s % 6 == 5 ? 2 : 0);
  }
}

static co_status add(co_dataset_writer *w, const char *entity, const co_column *column,
                     int64_t rows, const void *data) {
  CO_RETURN_IF_FAILED(co_dataset_writer_column(w, entity, column, rows));
  return co_dataset_writer_rows(w, rows, data);
}

static co_status write_all(co_context *ctx, const char *path) {
  static const char *const classes[CLASSES] = {"shirt", "shoe", "bag, \"large\""};
  const co_column c[] = {
      {.name = "image", .type = CO_COLUMN_IMAGE, .dtype = CO_U8, .shape = {3, {SIDE, SIDE, 1}}},
      {.name = "price", .dtype = CO_F32},
      {.name = "margin", .dtype = CO_F32},
      {.name = "embedding", .type = CO_COLUMN_VECTOR, .dtype = CO_F32, .shape = {1, {WIDTH}}},
      {.name = "label",
       .type = CO_COLUMN_CATEGORY,
       .role = CO_ROLE_TARGET,
       .dtype = CO_I32,
       .category_count = CLASSES,
       .categories = classes},
      {.name = "score", .role = CO_ROLE_TARGET, .dtype = CO_F32},
      {.name = "weight", .role = CO_ROLE_WEIGHT, .dtype = CO_F32},
      {.name = "visit", .type = CO_COLUMN_TEXT, .role = CO_ROLE_KEY, .dtype = CO_I64}};
  co_status status = CO_OK;
  co_dataset_writer *w = NULL;
  char fingerprint[65];
  CO_TRY(co_dataset_writer_create(&w, ctx, path));
  CO_TRY(add(w, "products", &c[0], ROWS, image));
  CO_TRY(add(w, "products", &c[1], ROWS, number[0]));
  CO_TRY(add(w, "products", &c[2], ROWS, number[1]));
  CO_TRY(add(w, "products", &c[3], ROWS, vector));
  CO_TRY(co_dataset_writer_texts(w, "products", "product", CO_ROLE_IGNORE, key, ROWS));
  CO_TRY(co_dataset_writer_samples(w, "products", SAMPLES, entity_row, as_of, split));
  CO_TRY(add(w, NULL, &c[4], SAMPLES, label));
  CO_TRY(add(w, NULL, &c[5], SAMPLES, score));
  CO_TRY(add(w, NULL, &c[6], SAMPLES, weight));
  CO_TRY(add(w, NULL, &c[7], SAMPLES, visit));
  CO_TRY(co_dataset_writer_commit(w, fingerprint));
  printf("%s\n", fingerprint);
cleanup:
  co_dataset_writer_free(w);
  return status;
}

static int make_dataset(const char *path) {
  co_context *ctx;
  fill();
  if (co_context_create(&ctx, NULL) != CO_OK) return 1;
  co_status status = write_all(ctx, path);
  if (status != CO_OK) fprintf(stderr, "%s\n", co_error_last()->message);
  co_context_free(ctx);
  return (int)status;
}

typedef struct watch {
  int64_t step;
  volatile int stop;
} watch;

static void see(void *user, const char *stage, const char *unit, int64_t done, int64_t total,
                const char *detail) {
  watch *w = user;
  (void)unit, (void)total, (void)detail;
  if (!strcmp(stage, "train") && done >= w->step) w->stop = 15;
}

// Trains with seed 1 on the reference; to the end, or as if SIGTERM came at a step.
static int make_run(const char *config, const char *dataset, const char *run, int64_t step) {
  watch w = {.step = step};
  cohort_context_options options = {
      .threads = 1, .progress = see, .progress_user = &w, .stop = &w.stop};
  static const char *const seed[] = {"trainer.seed=1"};
  cohort_train_options request = {
      .config = {.files = &config, .file_count = 1, .assignments = seed, .assignment_count = 1},
      .dataset = dataset,
      .run_dir = run,
      .device = "ref",
      .threads = 1};
  cohort_context *context;
  cohort_result *result;
  if (cohort_context_create(&context, &options) != 0) return 1;
  int status = (int)cohort_train(context, &request, &result);
  printf("%s", result ? cohort_result_text(result) : "");
  cohort_result_free(result);
  cohort_context_free(context);
  return status;
}

// make dataset DATASET | make run CONFIG DATASET RUN STEP
int main(int argc, char **argv) {
  if (argc == 3 && !strcmp(argv[1], "dataset")) return make_dataset(argv[2]);
  if (argc == 6 && !strcmp(argv[1], "run"))
    return make_run(argv[2], argv[3], argv[4], strtoll(argv[5], NULL, 10));
  return 2;
}
