// SPDX-License-Identifier: Apache-2.0
// Of a study with two goals there is no best trial, but those that no other one beats in both.
#include "host/api/hyperopt.h"

void co_render_front(co_json *json, const co_space *space, const co_trials *trials,
                     const co_front *front) {
  co_json_key(json, "best_trials");
  co_json_open(json, '[');
  for (int64_t i = 0; i < front->count; i++) {
    const co_trial *t = &trials->item[front->number[i]];
    co_json_open(json, '{');
    co_json_key(json, "number");
    co_json_int(json, t->number);
    co_json_key(json, "values");
    co_json_open(json, '[');
    co_json_double(json, t->value);
    co_json_double(json, t->second);
    co_json_close(json);
    co_json_key(json, "params");
    co_space_render_values(json, space, t->values);
    co_json_close(json);
  }
  co_json_close(json);
}

void co_print_front(co_text *text, const co_tune_settings *settings, const co_trials *trials,
                    const co_front *front) {
  const char *metric = settings->metric ? settings->metric : "loss";
  co_text_printf(text, "front %5s  %-12s %-12s\n", "trial", metric, settings->second);
  for (int64_t i = 0; i < front->count; i++) {
    const co_trial *t = &trials->item[front->number[i]];
    co_text_printf(text, "      %5lld  %-12.6g %-12.6g\n", (long long)t->number, t->value,
                   t->second);
  }
}

bool co_front_has(const co_front *front, int64_t number) {
  for (int64_t i = 0; i < front->count; i++)
    if (front->number[i] == number) return true;
  return false;
}
