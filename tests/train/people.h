// SPDX-License-Identifier: Apache-2.0
// A table of people, and a config with all that is learned from training rows.
#ifndef COHORT_TESTS_PEOPLE_H
#define COHORT_TESTS_PEOPLE_H

#include "training.h"

enum { PEOPLE = 300 };

static const char fitted_config[] =
    "input_features:\n"
    "  - {name: city, preprocessing: {encoding: target_mean, smoothing: 2}}\n"
    "  - {name: city_share, column: city, type: category, preprocessing: {encoding: frequency}}\n"
    "  - {name: city_row, column: city, type: category, preprocessing: {min_frequency: 5},\n"
    "     encoder: {type: embedding, update: rows}}\n"
    "  - {name: device, preprocessing: {hashing: {buckets: 2}}}\n"
    "  - {name: both, type: cross, columns: [city, device], preprocessing: {buckets: 20}}\n"
    "  - {name: city_spend, column: city, type: aggregate, preprocessing: {of: spend}}\n"
    "  - {name: spend, preprocessing: {outliers: {method: iqr}, normalization: log1p,\n"
    "     missing: indicator}}\n"
    "  - {name: rank, column: spend, preprocessing: {normalization: quantile, missing: median}}\n"
    "  - {name: range, column: age, type: bucket, preprocessing: {quantiles: 4}}\n"
    "  - {name: age, preprocessing: {outliers: {method: zscore, action: 'null'}}}\n"
    "  - {name: joined}\n"
    "  - {name: weekday, column: joined, type: date_part, preprocessing: {part: weekday}}\n"
    "  - {name: years, column: age, preprocessing: {outliers: {method: zscore, action: drop}}}\n"
    "  - {name: axes, type: pca, columns: [age, spend]}\n"
    "  - {name: note, preprocessing: {buckets: 64}, encoder: {type: mlp, sizes: [4]}}\n"
    "combiner: {layers: [{Dense: 8}, ReLU, {Dropout: {rate: 0.2}}]}\n"
    "trainer:\n"
    "  max_epochs: 4\n"
    "  batch_size: 32\n"
    "  learning_rate: 0.01\n"
    "  steps_per_checkpoint: 5\n";

static inline void write_table(const char *path) {
  static const char *const cities[] = {"Ulm", "Kiel", "Jena", "Bonn", "Trier", "Gera", ""};
  FILE *stream = fopen(path, "w");
  assert_non_null(stream);
  fprintf(stream, "key,city,device,joined,note,age,spend,bought\n");
  for (uint32_t i = 0; i < PEOPLE; i++) {
    uint32_t a = scramble(i), b = scramble(i + 1000), home = a % 13 % 7;
    fprintf(stream, "k%u,%s,%s,", i, cities[home], b % 3 ? "phone" : b % 5 ? "pc" : "tv");
    fprintf(stream, "20%02u-0%u-1%u,", a % 24, 1 + b % 9, i % 10);
    fprintf(stream, "\"%s, it is %s\",", i % 3 ? "good" : "bad", a % 2 ? "cheap" : "late");
    fprintf(stream, "%u,", i % 50 ? 18 + b % 60 : 900);
    if (i % 11) fprintf(stream, "%u.5", i % 40 ? b % 90 : 100000);
    fprintf(stream, ",%s\n", (home < 3) == (b % 4 > 0) ? "yes" : "no");
  }
  assert_int_equal(fclose(stream), 0);
}

static inline void import_table(void) {
  cohort_context *context;
  cohort_result *result;
  static const char *const files[] = {"t.csv"}, *const targets[] = {"bought"};
  static const char *const types[] = {"joined=date", "note=text"};
  assert_int_equal(cohort_context_create(&context, &(cohort_context_options){.threads = 1}), 0);
  const cohort_import_csv_options options = {.output = "d.h5",
                                             .files = files,
                                             .file_count = 1,
                                             .targets = targets,
                                             .target_count = 1,
                                             .types = types,
                                             .type_count = 2,
                                             .key = "key",
                                             .validation_fraction = -1};
  if (cohort_import_csv(context, &options, &result) != 0)
    fail_msg("%s", cohort_result_json(result));
  cohort_result_free(result);
  cohort_context_free(context);
}

#endif
