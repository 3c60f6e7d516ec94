// SPDX-License-Identifier: Apache-2.0
// Of an output are stored, all f64: "parameters" and "standard_errors" (4), "convergence" (5, as
// `enum` below), "alive" (1, the mean over customers), "purchases" (1, a day
// with some); of one of amounts "spending" and "spending_errors" (3), "spending_convergence" (5).
#include "host/eval/buyers.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { STATE, OF, GRADIENT, LOG_LIKELIHOOD, CUSTOMERS, CONVERGENCE };
static const double day = 86400, week = 7 * 86400.;
static const double leaves_never = .999; // mean probability of being alive

// Gauss and Legendre's rule of 24 points, those above 0.
double co_integrate(double (*f)(const void *user, double x), const void *user, double low,
                    double high) {
  static const double at[] = {0.06405689286260563, 0.19111886747361631, 0.3150426796961634,
                              0.43379350762604513, 0.54542147138883956, 0.64809365193697555,
                              0.74012419157855436, 0.82000198597390295, 0.88641552700440107,
                              0.9382745520027328,  0.97472855597130947, 0.99518721999702131};
  static const double weight[] = {0.12793819534675202,  0.12583745634682825,  0.12167047292780329,
                                  0.11550566805372552,  0.10744427011596556,  0.097618652104113926,
                                  0.086190161531953205, 0.073346481411080161, 0.05929858491543636,
                                  0.044277438817419412, 0.028531388628933559, 0.01234122979998869};
  double middle = (low + high) / 2, half = (high - low) / 2, sum = 0;
  for (size_t i = 0; i < sizeof at / sizeof *at; i++)
    sum += weight[i] * (f(user, middle - half * at[i]) + f(user, middle + half * at[i]));
  return half * sum;
}

// ---- likelihoods -------------------------------------------------------------------------------

typedef struct cases {
  const co_buyers_model *model;
  const co_buyer *buyers;
  int64_t count;
  double customers;
} cases;

static double mean_buying(void *user, const double *p) {
  const cases *c = user;
  double sum = 0;
  for (int64_t i = 0; i < c->count; i++)
    sum += c->buyers[i].customers * c->model->log_likelihood(p, &c->buyers[i]);
  return sum / c->customers;
}

static bool has_amount(const co_buyer *buyer) {
  return buyer->repeats > 0 && buyer->mean > 0;
}

static double mean_spending(void *user, const double *parameters) {
  const cases *c = user;
  double p = parameters[0], q = parameters[1], gamma = parameters[2], sum = 0;
  for (int64_t i = 0; i < c->count; i++) {
    double x = c->buyers[i].repeats, m = c->buyers[i].mean;
    if (!has_amount(&c->buyers[i])) continue;
    sum += c->buyers[i].customers *
           (lgamma(p * x + q) - lgamma(p * x) - lgamma(q) + q * log(gamma) + (p * x - 1) * log(m) +
            p * x * log(x) - (p * x + q) * log(gamma + x * m));
  }
  return sum / c->customers;
}

static double count_customers(const co_buyer *buyers, int64_t count, bool with_amounts) {
  double sum = 0;
  for (int64_t i = 0; i < count; i++)
    if (!with_amounts || has_amount(&buyers[i])) sum += buyers[i].customers;
  return sum;
}

co_status co_buyers_maximize(co_likelihood_fit *out, co_context *ctx, const co_buyers_model *model,
                             const co_buyer *buyers, int64_t count) {
  cases c = {model, buyers, count, count_customers(buyers, count, false)};
  double age = 0, repeats = 0;
  for (int64_t i = 0; i < count; i++) {
    age += buyers[i].customers * buyers[i].age / c.customers;
    repeats += buyers[i].customers * buyers[i].repeats / c.customers;
  }
  if (!(repeats > 0)) return co_fail(CO_ERR_DATA, "no training customer bought a second time");
  co_likelihood l = {.count = CO_BUYERS_PARAMETERS,
                     .names = model->names,
                     .cases = c.customers,
                     .mean = mean_buying,
                     .user = &c};
  for (int i = 0; i < l.count; i++) {
    l.start[i] = model->is_time[i] ? fmax(age, .1) : 1;
    l.low[i] = 1e-4;
    l.high[i] = 1e5;
  }
  return co_likelihood_maximize(out, ctx, &l);
}

static const char *const spending_names[] = {"p", "q", "gamma"};

// q > 1: the mean of what is spent is finite.
co_status co_spending_maximize(co_likelihood_fit *out, co_context *ctx, const co_buyer *buyers,
                               int64_t count) {
  cases c = {NULL, buyers, count, count_customers(buyers, count, true)};
  double mean = 0;
  for (int64_t i = 0; i < count; i++)
    if (has_amount(&buyers[i])) mean += buyers[i].customers * buyers[i].mean / c.customers;
  if (!(mean > 0))
    return co_fail(CO_ERR_DATA, "no training customer has a repeated purchase with an amount");
  const co_likelihood l = {.count = CO_SPENDING_PARAMETERS,
                           .names = spending_names,
                           .start = {2, 3, mean},
                           .low = {1e-4, 1.001, mean * 1e-4},
                           .high = {1e5, 1e5, mean * 1e5},
                           .cases = c.customers,
                           .mean = mean_spending,
                           .user = &c};
  return co_likelihood_maximize(out, ctx, &l);
}

double co_spending_mean(const double *p, const co_buyer *buyer) {
  double x = has_amount(buyer) ? buyer->repeats : 0, sum = x > 0 ? x * buyer->mean : 0;
  return p[0] * (p[2] + sum) / (p[0] * x + p[1] - 1);
}

// ---- customers ---------------------------------------------------------------------------------

static double day_of(double time) {
  return floor(time / day);
}

// Without a history: one who first buys at the cut-off.
static co_buyer look_at(const co_history *h, int64_t sample) {
  co_buyer out = {.mean = NAN, .customers = 1};
  int64_t begin = h->begin[sample], end = h->end[sample];
  double amount = 0;
  if (begin >= end) return out;
  const double first = day_of(co_numbers_at(&h->time, begin));
  double latest = first;
  for (int64_t event = begin; event < end; event++) {
    double today = day_of(co_numbers_at(&h->time, event));
    out.purchases += event == begin || !co_history_same_step(h, event - 1, event);
    out.repeats += today != latest;
    latest = today;
    double value = h->amount.values ? co_numbers_at(&h->amount, event) : NAN;
    if (today != first && !isnan(value)) amount += value;
  }
  out.last = (latest - first) / 7;
  out.age = fmax(out.last, (day_of((double)h->as_of[sample] - 1) - first) / 7);
  if (out.repeats > 0 && h->amount.values) out.mean = amount / out.repeats;
  return out;
}

// Each training customer once, at his last cut-off; to be freed, on failure too.
static co_status list_buyers(co_buyer **out, int64_t *count, const co_estimator *e,
                             const co_fit_data *data) {
  const co_history *h = data->history;
  int64_t *last = co_alloc(e->ctx, ((size_t)h->entities + 1) * sizeof *last);
  *count = 0;
  *out = co_alloc(e->ctx, ((size_t)data->sample_count + 1) * sizeof **out);
  if (!last || !*out) {
    co_free(e->ctx, last);
    return CO_ERR_MEMORY;
  }
  for (int64_t i = 0; i < h->entities; i++)
    last[i] = -1;
  for (int64_t i = 0; i < data->sample_count; i++) {
    int64_t sample = data->samples[i], entity = h->entity ? h->entity[sample] : sample;
    if (entity < 0 || h->begin[sample] >= h->end[sample]) continue;
    if (last[entity] < 0 || h->as_of[sample] > h->as_of[last[entity]]) last[entity] = sample;
  }
  for (int64_t i = 0; i < h->entities; i++)
    if (last[i] >= 0) (*out)[(*count)++] = look_at(h, last[i]);
  co_free(e->ctx, last);
  return *count ? CO_OK : co_fail(CO_ERR_DATA, "no training customer has a history");
}

static int by_history(const void *a, const void *b) {
  const double *x = &((const co_buyer *)a)->repeats, *y = &((const co_buyer *)b)->repeats;
  for (int i = 0; i < 3; i++)
    if (x[i] != y[i]) return x[i] < y[i] ? -1 : 1;
  return 0;
}

// Those alike become one; how many there are then. What they spend is lost.
static int64_t join_alike(co_buyer *buyers, int64_t count) {
  int64_t kept = 0;
  qsort(buyers, (size_t)count, sizeof *buyers, by_history);
  for (int64_t i = 0; i < count; i++)
    if (kept && by_history(&buyers[kept - 1], &buyers[i]) == 0)
      buyers[kept - 1].customers += buyers[i].customers;
    else
      buyers[kept++] = buyers[i];
  return kept;
}

// ---- reports -----------------------------------------------------------------------------------

// What is to be said of a fit, one clause; `names` of its parameters.
static void say_state(co_text *out, const double *convergence, const char *const *names) {
  int state = (int)convergence[STATE], of = (int)convergence[OF];
  const char *name = of >= 0 && of < CO_MOST_PARAMETERS ? names[of] : "?";
  if (state == CO_FIT_CONVERGED)
    co_text_printf(out, "converged");
  else if (state == CO_FIT_AT_BOUND)
    co_text_printf(out, "no maximum: %s has no bound", name);
  else if (state == CO_FIT_UNDETERMINED)
    co_text_printf(out, "not determined by the data: %s", name);
  else
    co_text_printf(out, "no maximum found: gradient %.2g", convergence[GRADIENT]);
}

typedef struct told {
  const char *const *names;
  const double *parameters, *errors, *convergence;
  int count;
  const double *alive; // NULL = it says nothing of that
} told;

static void say(co_text *out, const told *t) {
  for (int i = 0; i < t->count; i++) {
    co_text_printf(out, "%s %.4g", t->names[i], t->parameters[i]);
    if (!isnan(t->errors[i])) co_text_printf(out, " ± %.2g", t->errors[i]);
    co_text_printf(out, ", ");
  }
  co_text_printf(out, "log-likelihood %.2f of %.0f customers, ", t->convergence[LOG_LIKELIHOOD],
                 t->convergence[CUSTOMERS]);
  if (t->alive) co_text_printf(out, "%.1f %% of them alive, ", 100 * *t->alive);
  say_state(out, t->convergence, t->names);
  if (t->alive && *t->alive > leaves_never)
    co_text_printf(out, "; dropout degenerates: nobody is seen to leave");
}

static co_status log_fit(const co_estimator *e, const told *t) {
  co_text line;
  bool good = t->convergence[STATE] == CO_FIT_CONVERGED && !(t->alive && *t->alive > leaves_never);
  co_text_init(&line, e->ctx);
  say(&line, t);
  if (line.status == CO_OK)
    co_log(e->ctx, good ? CO_LOG_INFO : CO_LOG_WARN, "baselines", "%s%s: %s", e->class_->name,
           t->alive ? "" : " spending", line.data);
  co_status status = line.status;
  co_text_free(&line);
  return status;
}

static void render_numbers(co_json *json, const told *t, const double *numbers) {
  co_json_open(json, '{');
  for (int i = 0; i < t->count; i++) {
    co_json_key(json, t->names[i]);
    co_json_double(json, numbers[i]);
  }
  co_json_close(json);
}

static void render_fit(co_json *json, const char *key, const told *t) {
  static const char *const states[] = {"converged", "at_bound", "undetermined", "not_found"};
  int state = (int)t->convergence[STATE];
  co_json_key(json, key);
  co_json_open(json, '{');
  co_json_key(json, "parameters");
  render_numbers(json, t, t->parameters);
  co_json_key(json, "standard_errors");
  render_numbers(json, t, t->errors);
  co_json_key(json, "log_likelihood");
  co_json_double(json, t->convergence[LOG_LIKELIHOOD]);
  co_json_key(json, "customers");
  co_json_double(json, t->convergence[CUSTOMERS]);
  co_json_key(json, "gradient");
  co_json_double(json, t->convergence[GRADIENT]);
  co_json_key(json, "state");
  co_json_string(json, states[state >= 0 && state < 4 ? state : CO_FIT_NOT_FOUND]);
  if (t->alive) {
    co_json_key(json, "alive");
    co_json_double(json, *t->alive);
  }
  co_json_close(json);
}

// Of the first output that has it; NULL if none has.
static const double *find(const co_model_arrays *arrays, const char *name, int64_t count) {
  for (int64_t i = 0; i < arrays->count; i++) {
    const co_fitted *array = &arrays->items[i];
    if (strcmp(array->name, name) == 0 && array->dtype == CO_F64 &&
        co_shape_count(&array->shape) == count)
      return array->bytes;
  }
  return NULL;
}

static bool find_fit(told *t, const co_model_arrays *arrays, bool spending) {
  t->parameters = find(arrays, spending ? "spending" : "parameters", t->count);
  t->errors = find(arrays, spending ? "spending_errors" : "standard_errors", t->count);
  t->convergence = find(arrays, spending ? "spending_convergence" : "convergence", CONVERGENCE);
  return t->parameters && t->errors && t->convergence;
}

void co_buyers_report(const co_estimator_class *class_, const co_model_arrays *arrays,
                      co_json *json, co_text *text) {
  told buying = {.names = class_->purchases->names, .count = CO_BUYERS_PARAMETERS};
  told spending = {.names = spending_names, .count = CO_SPENDING_PARAMETERS};
  buying.alive = find(arrays, "alive", 1);
  if (find_fit(&buying, arrays, false)) {
    render_fit(json, "purchases", &buying);
    say(text, &buying);
  }
  if (!find_fit(&spending, arrays, true)) return;
  render_fit(json, "spending", &spending);
  co_text_printf(text, "; spending ");
  say(text, &spending);
}

// ---- fitting, scoring --------------------------------------------------------------------------

const char *co_buyers_refuse(const co_output_feature *output) {
  if (!output->column || !output->column->label.kind)
    return "it predicts whether, how often and for how much customers buy within a time that the "
           "dataset tells of the target (import --label, --label-count, --label-amount)";
  return output->width != 1 ? "it predicts one number of a target" : NULL;
}

size_t co_buyers_row_bytes(const co_estimator *e) {
  (void)e;
  return 0;
}

static co_status add(co_estimator *e, int64_t output, const char *name, int64_t count,
                     const double *values) {
  const co_shape shape = co_shape_make(1, count);
  void *bytes;
  CO_RETURN_IF_FAILED(co_estimator_add(e, output, name, CO_F64, &shape, &bytes));
  memcpy(bytes, values, (size_t)count * sizeof *values);
  return CO_OK;
}

static co_status keep(co_estimator *e, int64_t output, const co_likelihood_fit *fit,
                      double customers, const double *alive) {
  const double convergence[CONVERGENCE] = {[STATE] = fit->state,
                                           [OF] = fit->of,
                                           [GRADIENT] = fit->gradient,
                                           [LOG_LIKELIHOOD] = fit->log_likelihood,
                                           [CUSTOMERS] = customers};
  const co_buyers_model *model = e->class_->purchases;
  const told t = {.names = alive ? model->names : spending_names,
                  .parameters = fit->parameters,
                  .errors = fit->standard_errors,
                  .convergence = convergence,
                  .count = alive ? CO_BUYERS_PARAMETERS : CO_SPENDING_PARAMETERS,
                  .alive = alive};
  CO_RETURN_IF_FAILED(add(e, output, alive ? "parameters" : "spending", t.count, fit->parameters));
  CO_RETURN_IF_FAILED(
      add(e, output, alive ? "standard_errors" : "spending_errors", t.count, fit->standard_errors));
  CO_RETURN_IF_FAILED(
      add(e, output, alive ? "convergence" : "spending_convergence", CONVERGENCE, convergence));
  if (alive) CO_RETURN_IF_FAILED(add(e, output, "alive", 1, alive));
  return log_fit(e, &t);
}

static co_status fit_spending(co_estimator *e, int64_t output, const co_buyer *buyers,
                              int64_t count) {
  co_likelihood_fit fit;
  CO_RETURN_IF_FAILED(co_spending_maximize(&fit, e->ctx, buyers, count));
  return keep(e, output, &fit, count_customers(buyers, count, true), NULL);
}

static co_status fit_buying(co_estimator *e, int64_t output, co_buyer *buyers, int64_t count) {
  const co_buyers_model *model = e->class_->purchases;
  co_likelihood_fit fit;
  double customers = (double)count, alive = 0, days = 0, purchases = 0;
  for (int64_t i = 0; i < count; i++) {
    days += 1 + buyers[i].repeats;
    purchases += buyers[i].purchases;
  }
  purchases /= days;
  CO_RETURN_IF_FAILED(add(e, output, "purchases", 1, &purchases));
  count = join_alike(buyers, count);
  CO_RETURN_IF_FAILED(co_buyers_maximize(&fit, e->ctx, model, buyers, count));
  for (int64_t i = 0; i < count; i++)
    alive += buyers[i].customers / customers * model->alive(fit.parameters, &buyers[i]);
  return keep(e, output, &fit, customers, &alive);
}

// What the first output was told holds for all.
static co_status copy(co_estimator *e, int64_t output) {
  for (int64_t i = 0, count = e->arrays.count; i < count; i++) {
    const co_fitted *array = &e->arrays.items[i];
    if (strcmp(array->feature, e->model->outputs[0].name) != 0 ||
        strncmp(array->name, "spending", 8) == 0)
      continue;
    CO_RETURN_IF_FAILED(add(e, output, array->name, co_shape_count(&array->shape), array->bytes));
  }
  return CO_OK;
}

co_status co_buyers_fit(co_estimator *e, int64_t output, const co_fit_data *data) {
  const co_history *h = data->history;
  const bool sums = e->model->outputs[output].column->label.kind == CO_LABEL_SUM;
  co_buyer *buyers;
  int64_t count;
  if (sums && !h->amount.values) return co_fail(CO_ERR_DATA, "events have no column 'amount'");
  co_status status = list_buyers(&buyers, &count, e, data);
  if (status == CO_OK && sums) status = fit_spending(e, output, buyers, count);
  if (status == CO_OK && output > 0) status = copy(e, output);
  if (status == CO_OK && output == 0) status = fit_buying(e, output, buyers, count);
  co_free(e->ctx, buyers);
  return status;
}

static co_status get(const co_estimator *e, int64_t output, const char *name, int64_t count,
                     const double **out) {
  const co_shape shape = co_shape_make(1, count);
  const co_fitted *array;
  CO_RETURN_IF_FAILED(co_estimator_array(e, output, name, CO_F64, &shape, &array));
  *out = array->bytes;
  return CO_OK;
}

static double predict(const co_buyers_model *model, const co_label *label, const double *p,
                      const double *spending, const co_buyer *buyer) {
  double from = (double)label->gap / week, to = from + (double)label->window / week;
  double alive = model->alive(p, buyer);
  if (label->kind == CO_LABEL_ANY) {
    double any = fmin(fmax(alive * model->any(p, buyer, from, to), 1e-12), 1 - 1e-12);
    return log(any) - log1p(-any);
  }
  double count = alive * model->count(p, buyer, from, to);
  return label->kind == CO_LABEL_SUM ? count * co_spending_mean(spending, buyer) : count;
}

co_status co_buyers_score(const co_estimator *e, int64_t output, const co_history *history,
                          const int64_t *samples, int64_t rows, float *heads) {
  const co_label *label = &e->model->outputs[output].column->label;
  const double *p, *purchases, *spending = NULL;
  CO_RETURN_IF_FAILED(get(e, output, "parameters", CO_BUYERS_PARAMETERS, &p));
  CO_RETURN_IF_FAILED(get(e, output, "purchases", 1, &purchases));
  if (label->kind == CO_LABEL_SUM)
    CO_RETURN_IF_FAILED(get(e, output, "spending", CO_SPENDING_PARAMETERS, &spending));
  for (int64_t i = 0; i < rows; i++) {
    const co_buyer buyer = look_at(history, samples[i]);
    double factor = label->kind == CO_LABEL_COUNT ? *purchases : 1;
    heads[i] = (float)(factor * predict(e->class_->purchases, label, p, spending, &buyer));
  }
  return CO_OK;
}
