// SPDX-License-Identifier: Apache-2.0
#include "host/eval/integrated_gradients.h"

#include <math.h>
#include <string.h>

enum { MOST_NUMBERS = 1 << 23 }; // of the points of a run

// A plan of the graph's part.
typedef struct unit {
  co_plan *plan;
  co_executor *executor;
  void *memory;
} unit;

struct co_integrated_gradients {
  co_context *ctx;
  co_arena *arena;
  co_backend *backend;
  co_store *store;
  co_integrated_request request;
  co_graph *graph;
  int64_t points;         // of a run
  int64_t members, width; // of the head; members 0 = there are none
  co_link link;           // by which members are joined
  unit forward, gradient;
  void *step;
  void **inputs;     // device, per input of the graph; the last is the seed
  float *room;       // host, for one of them, or the head
  float *head;       // (points, members, width)
  double *reference; // (width): the joined head at the reference
};

static int64_t members_of(const co_integrated_gradients *g) {
  return g->members ? g->members : 1;
}

int64_t co_integrated_gradients_most(const co_integrated_gradients *g) {
  return g->points;
}

// ---- opening -----------------------------------------------------------------------------------

static co_status cut_graph(co_integrated_gradients *g) {
  const co_integrated_request *r = &g->request;
  const co_graph *network = r->network->model->network;
  co_value *from = co_arena_alloc(g->arena, (size_t)r->value_count + 1, sizeof *from);
  if (!from) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < r->value_count; i++)
    from[i] = r->values[i].value;
  CO_RETURN_IF_FAILED(
      co_graph_part(&g->graph, network, from, r->value_count, &r->output->head, 1, true));
  if (g->graph->input_count == r->value_count + 1) return CO_OK;
  return co_fail(CO_ERR_CONFIG,
                 "'%s' reads '%s' behind the encoders: attributions would leave that out",
                 r->output->name, g->graph->values[g->graph->inputs[r->value_count]].name);
}

static co_status make_unit(co_integrated_gradients *g, co_mode mode, unit *u) {
  const co_plan_options options = {.mode = mode,
                                   .shape = {.rows = g->points},
                                   .real = CO_F32,
                                   .bf16 = co_program_is_bf16(g->request.network->program)};
  CO_RETURN_IF_FAILED(co_plan_create(&u->plan, g->graph, g->store, &options));
  size_t bytes = u->plan->arena_bytes ? u->plan->arena_bytes : g->backend->api->alignment;
  CO_RETURN_IF_FAILED(g->backend->api->buffer_create(g->backend, bytes, &u->memory));
  const co_memory memory = {.arena = u->memory, .step = g->step, .averages = true};
  CO_RETURN_IF_FAILED(co_executor_create(&u->executor, u->plan, g->store, &memory));
  for (int64_t i = 0; i < g->graph->input_count; i++)
    co_executor_bind(u->executor, i, g->inputs[i]);
  return CO_OK;
}

// Numbers of a point in an input of the graph: of a value, or of the head.
static int64_t input_width(const co_integrated_gradients *g, int64_t i) {
  return i < g->request.value_count ? g->request.values[i].width : members_of(g) * g->width;
}

static co_status make_room(co_integrated_gradients *g) {
  int64_t most = 0;
  g->inputs = co_arena_alloc(g->arena, (size_t)g->graph->input_count + 1, sizeof *g->inputs);
  if (!g->inputs) return CO_ERR_MEMORY;
  for (int64_t i = 0; i < g->graph->input_count; i++) {
    int64_t count = g->points * input_width(g, i);
    if (count > most) most = count;
    CO_RETURN_IF_FAILED(
        g->backend->api->buffer_create(g->backend, (size_t)count * sizeof(float), &g->inputs[i]));
  }
  g->room = co_alloc(g->ctx, (size_t)most * sizeof *g->room);
  g->head = co_alloc(g->ctx, (size_t)(g->points * input_width(g, g->request.value_count)) *
                                 sizeof *g->head);
  g->reference = co_arena_alloc(g->arena, (size_t)g->width, sizeof *g->reference);
  return g->room && g->head && g->reference ? CO_OK : CO_ERR_MEMORY;
}

static co_link link_of(const co_output_feature *output) {
  if (output->column->type == CO_COLUMN_CATEGORY) return CO_LINK_SOFTMAX;
  return output->loss->logit ? CO_LINK_SIGMOID : CO_LINK_NONE;
}

// ---- the head ----------------------------------------------------------------------------------

// Members become one as MEMBER_MEAN joins them: y (width) of z (members, width).
static void join(const co_integrated_gradients *g, const float *z, double *y) {
  const int64_t members = members_of(g), width = g->width;
  for (int64_t j = 0; j < width; j++)
    y[j] = 0;
  for (int64_t k = 0; k < members; k++, z += width) {
    double top = -INFINITY, sum = 0;
    for (int64_t j = 0; j < width; j++)
      top = fmax(top, (double)z[j]);
    for (int64_t j = 0; j < width; j++)
      sum += exp((double)z[j] - top);
    for (int64_t j = 0; j < width; j++) {
      double x = (double)z[j];
      if (!g->members || g->link == CO_LINK_NONE)
        y[j] += x / (double)members;
      else
        y[j] +=
            (g->link == CO_LINK_SIGMOID ? 1 / (1 + exp(-x)) : exp(x - top) / sum) / (double)members;
    }
  }
  for (int64_t j = 0; g->members && j < width; j++)
    y[j] = g->link == CO_LINK_SIGMOID   ? log(y[j]) - log1p(-y[j])
           : g->link == CO_LINK_SOFTMAX ? log(y[j])
                                        : y[j];
}

// The gradient of y[c] by z, of a point.
static void seed_point(const co_integrated_gradients *g, const float *z, int64_t c, float *seed) {
  const int64_t members = members_of(g), width = g->width;
  double mean = 0, p[2];
  memset(seed, 0, (size_t)(members * width) * sizeof *seed);
  for (int64_t k = 0; k < members; k++)
    seed[k * width + c] = (float)(1 / (double)members);
  if (!g->members || g->link == CO_LINK_NONE) return;
  for (int pass = 0; pass < 2; pass++)
    for (int64_t k = 0; k < members; k++) {
      const float *x = z + k * width;
      double sum = g->link == CO_LINK_SIGMOID ? 1 : 0; // 1 + exp(x), or over the classes
      for (int64_t j = 0; j < width; j++)
        sum += exp((double)(x[j] - x[c])) * (g->link == CO_LINK_SOFTMAX);
      p[0] = g->link == CO_LINK_SIGMOID ? 1 / (1 + exp(-(double)x[c])) : 1 / sum;
      if (!pass) {
        mean += p[0] / (double)members;
        continue;
      }
      for (int64_t j = 0; j < width; j++) {
        p[1] = exp((double)(x[j] - x[c])) * p[0];
        double slope = g->link == CO_LINK_SIGMOID ? p[0] * (1 - p[0]) / (mean * (1 - mean))
                                                  : p[0] * ((j == c) - p[1]) / mean;
        seed[k * width + j] = (float)(slope / (double)members);
      }
    }
}

// ---- running -----------------------------------------------------------------------------------

// What input `i` has of the points of rows: `steps` between the reference and each, or (0) the row.
static co_status set_input(co_integrated_gradients *g, int64_t i, const float *points, int64_t rows,
                           int64_t steps) {
  const co_integrated_request *r = &g->request;
  const co_encoded_value *value = &r->values[i];
  const float *begin = r->reference + value->first;
  float *to = g->room;
  const int64_t each = steps ? steps : 1;
  for (int64_t row = 0; row < rows; row++)
    for (int64_t s = 0; s < each; s++) {
      const float *end = points + row * r->width + value->first;
      float at = steps ? (float)(((double)s + 0.5) / (double)steps) : 1;
      for (int64_t k = 0; k < value->width; k++)
        *to++ = begin[k] + at * (end[k] - begin[k]);
    }
  int64_t rest = (g->points - rows * each) * value->width;
  memset(to, 0, (size_t)rest * sizeof *to);
  return g->backend->api->upload(g->backend, g->inputs[i], g->room,
                                 (size_t)(g->points * value->width) * sizeof *g->room);
}

static co_status set_points(co_integrated_gradients *g, const float *points, int64_t rows,
                            int64_t steps) {
  for (int64_t i = 0; i < g->request.value_count; i++)
    CO_RETURN_IF_FAILED(set_input(g, i, points, rows, steps));
  return CO_OK;
}

static co_status run_forward(co_integrated_gradients *g) {
  CO_RETURN_IF_FAILED(co_executor_run(g->forward.executor));
  return co_executor_read_output(g->forward.executor, 0, g->head);
}

static int64_t likeliest(const double *y, int64_t width) {
  int64_t best = 0;
  for (int64_t j = 1; j < width; j++)
    if (y[j] > y[best]) best = j;
  return best;
}

// With `classes` of those, else of the one asked for or the likeliest, which `out` is told.
static co_status find_values(co_integrated_gradients *g, const float *points, int64_t rows,
                             const int32_t *classes, const co_head_values *out) {
  double *y = co_alloc(g->ctx, (size_t)g->width * sizeof *y);
  if (!y) return CO_ERR_MEMORY;
  co_status status = set_points(g, points, rows, 0);
  if (status == CO_OK) status = run_forward(g);
  for (int64_t row = 0; status == CO_OK && row < rows; row++) {
    join(g, g->head + row * members_of(g) * g->width, y);
    int64_t c = classes                 ? classes[row]
                : g->request.class_ < 0 ? likeliest(y, g->width)
                                        : g->request.class_;
    out->value[row] = y[c];
    if (out->class_) out->class_[row] = (int32_t)c;
    if (out->reference) out->reference[row] = g->reference[c];
  }
  co_free(g->ctx, y);
  return status;
}

co_status co_head_values_of(co_integrated_gradients *g, const float *points, int64_t rows,
                            const int32_t *classes, double *out) {
  return find_values(g, points, rows, classes, &(co_head_values){.value = out});
}

static co_status seed(co_integrated_gradients *g, const int32_t *classes, int64_t rows,
                      int64_t steps) {
  const int64_t width = members_of(g) * g->width;
  // Of one network it is the same everywhere.
  if (g->members) CO_RETURN_IF_FAILED(run_forward(g));
  memset(g->room, 0, (size_t)(g->points * width) * sizeof *g->room);
  for (int64_t i = 0; i < rows * steps; i++)
    seed_point(g, g->head + i * width, classes[i / steps], g->room + i * width);
  return g->backend->api->upload(g->backend, g->inputs[g->request.value_count], g->room,
                                 (size_t)(g->points * width) * sizeof *g->room);
}

// Without `points` the gradients themselves.
static co_status take_gradient(co_integrated_gradients *g, int64_t i, const float *points,
                               int64_t rows, int64_t steps, double *shares) {
  const co_integrated_request *r = &g->request;
  const co_encoded_value *value = &r->values[i];
  const co_value gradient = g->gradient.plan->gradients[i];
  if (gradient == CO_NO_VALUE) return CO_OK; // the head does not read it
  CO_RETURN_IF_FAILED(g->backend->api->download(
      g->backend, g->room, co_executor_address(g->gradient.executor, gradient),
      (size_t)(g->points * value->width) * sizeof *g->room));
  for (int64_t row = 0; row < rows; row++)
    for (int64_t k = 0; k < value->width; k++) {
      const float *slope = g->room + row * steps * value->width + k;
      const int64_t at = value->first + k;
      double sum = 0;
      for (int64_t s = 0; s < steps; s++)
        sum += (double)slope[s * value->width];
      double *share = &shares[row * r->width + at];
      *share = sum / (double)steps;
      if (points) *share *= (double)(points[row * r->width + at] - r->reference[at]);
    }
  return CO_OK;
}

static co_status integrate(co_integrated_gradients *g, const float *points, const int32_t *classes,
                           int64_t rows, int64_t steps, double *shares) {
  CO_RETURN_IF_FAILED(set_points(g, points, rows, steps));
  CO_RETURN_IF_FAILED(seed(g, classes, rows, steps));
  CO_RETURN_IF_FAILED(co_executor_run(g->gradient.executor));
  for (int64_t i = 0; i < g->request.value_count; i++)
    CO_RETURN_IF_FAILED(take_gradient(g, i, points, rows, steps, shares));
  return CO_OK;
}

co_status co_head_gradients_at(co_integrated_gradients *g, const float *points, int64_t rows,
                               const int32_t *classes, double *out) {
  CO_RETURN_IF_FAILED(set_points(g, points, rows, 0));
  CO_RETURN_IF_FAILED(seed(g, classes, rows, 1));
  CO_RETURN_IF_FAILED(co_executor_run(g->gradient.executor));
  for (int64_t i = 0; i < g->request.value_count; i++)
    CO_RETURN_IF_FAILED(take_gradient(g, i, NULL, rows, 1, out));
  return CO_OK;
}

// Whether shares lack more of what they should add up to than is allowed.
static bool is_coarse(const co_integrated_gradients *g, const double *shares, double whole) {
  double rest = whole, size = 0;
  for (int64_t k = 0; k < g->request.width; k++) {
    rest -= shares[k];
    size += fabs(shares[k]);
  }
  return g->request.rest > 0 && fabs(rest) > g->request.rest * size;
}

co_status co_integrated_gradients_run(co_integrated_gradients *g, const float *points, int64_t rows,
                                      double *shares, const co_head_values *out) {
  const int64_t width = g->request.width, steps = g->request.steps, most = g->points / steps;
  CO_RETURN_IF_FAILED(find_values(g, points, rows, NULL, out));
  if (!shares) return CO_OK;
  memset(shares, 0, (size_t)(rows * width) * sizeof *shares);
  for (int64_t row = 0; row < rows; row += most) {
    int64_t count = rows - row < most ? rows - row : most;
    CO_RETURN_IF_FAILED(
        integrate(g, points + row * width, out->class_ + row, count, steps, shares + row * width));
  }
  for (int64_t row = 0; row < rows; row++)
    if (is_coarse(g, shares + row * width, out->value[row] - out->reference[row]))
      CO_RETURN_IF_FAILED(integrate(g, points + row * width, out->class_ + row, 1, g->points,
                                    shares + row * width));
  return CO_OK;
}

static co_status find_reference(co_integrated_gradients *g) {
  CO_RETURN_IF_FAILED(set_points(g, g->request.reference, 1, 0));
  CO_RETURN_IF_FAILED(run_forward(g));
  join(g, g->head, g->reference);
  return CO_OK;
}

static co_status open_all(co_integrated_gradients *g) {
  const co_integrated_request *r = &g->request;
  if (r->output->loss->parameters) {
    co_status status =
        co_fail(CO_ERR_CONFIG, "of %s, the loss of '%s', nothing is attributed to inputs",
                r->output->loss->name, r->output->name);
    co_hint("of a model of an event log --events N tells what each event adds; report shows what "
            "inputs do");
    return status;
  }
  const co_shape *head = &r->network->model->network->values[r->output->head].desc.shape;
  g->members = co_dim_members(head->dim[0]);
  g->width = r->output->width;
  g->link = link_of(r->output);
  const bool large = r->width > MOST_NUMBERS / CO_INTEGRATED_POINTS;
  g->points = r->steps > CO_INTEGRATED_POINTS || large ? r->steps : CO_INTEGRATED_POINTS;
  CO_RETURN_IF_FAILED(co_arena_create(&g->arena, g->ctx));
  float *reference = co_arena_alloc(g->arena, (size_t)r->width + 1, sizeof *reference);
  if (!reference) return CO_ERR_MEMORY;
  memcpy(reference, r->reference, (size_t)r->width * sizeof *reference);
  g->request.reference = reference;
  CO_RETURN_IF_FAILED(cut_graph(g));
  CO_RETURN_IF_FAILED(make_room(g));
  CO_RETURN_IF_FAILED(g->backend->api->buffer_create(g->backend, sizeof(co_step), &g->step));
  CO_RETURN_IF_FAILED(g->backend->api->fill_zero(g->backend, g->step, sizeof(co_step)));
  CO_RETURN_IF_FAILED(make_unit(g, CO_MODE_INFER, &g->forward));
  CO_RETURN_IF_FAILED(make_unit(g, CO_MODE_GRADIENT, &g->gradient));
  return find_reference(g);
}

co_status co_integrated_gradients_open(co_integrated_gradients **out,
                                       const co_integrated_request *request) {
  co_context *ctx = request->network->model->ctx;
  *out = NULL;
  co_integrated_gradients *g = co_alloc_zero(ctx, 1, sizeof *g);
  if (!g) return CO_ERR_MEMORY;
  g->ctx = ctx;
  g->request = *request;
  g->store = co_program_store(request->network->program);
  g->backend = g->store->backend;
  co_status status = open_all(g);
  if (status == CO_OK)
    *out = g;
  else
    co_integrated_gradients_close(g);
  return status;
}

static void free_unit(co_integrated_gradients *g, unit *u) {
  co_executor_free(u->executor);
  co_plan_free(u->plan);
  g->backend->api->buffer_free(g->backend, u->memory);
}

void co_integrated_gradients_close(co_integrated_gradients *g) {
  if (!g) return;
  free_unit(g, &g->forward);
  free_unit(g, &g->gradient);
  for (int64_t i = 0; g->inputs && i < g->graph->input_count; i++)
    g->backend->api->buffer_free(g->backend, g->inputs[i]);
  g->backend->api->buffer_free(g->backend, g->step);
  co_graph_free(g->graph);
  co_free(g->ctx, g->room);
  co_free(g->ctx, g->head);
  co_arena_free(g->arena);
  co_free(g->ctx, g);
}
