// SPDX-License-Identifier: Apache-2.0
// What the steps of a training took, layer by layer, beside what the machine can do (train --profile).
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/core/file.h"
#include "host/train/session_private.h"

// ---- what the machine can do -------------------------------------------------------------------

enum { MOST_WIDTH = 48 }; // of layers' names in the table
enum { SIDE = 1024, SUMMED = 8 << 20, ROUNDS = 5 };

// Seconds of the fastest of some runs of an operation over zeros, in the layouts it likes best.
static co_status time_operation(co_session *t, co_op_desc *desc, double *seconds) {
  const co_backend_api *api = t->backend->api;
  co_op_choice choice;
  co_prepared *prepared = NULL;
  void *in[CO_OP_MAX_OPERANDS] = {NULL}, *out[CO_OP_MAX_OPERANDS] = {NULL}, *workspace = NULL;
  co_status status;
  *seconds = INFINITY;
  CO_TRY(api->query(t->backend, desc, &choice));
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++) {
    co_tensor_desc *operands[] = {&desc->in[i], &desc->out[i]};
    for (int side = 0; side < 2; side++) {
      if (!((side ? desc->has_out : desc->has_in) >> i & 1)) continue;
      operands[side]->layout = side ? choice.out[i] : choice.in[i];
      size_t bytes = api->layout_bytes(t->backend, operands[side]);
      void **address = side ? &out[i] : &in[i];
      CO_TRY(api->buffer_create(t->backend, bytes, address));
      CO_TRY(api->fill_zero(t->backend, *address, bytes));
    }
  }
  CO_TRY(api->prepare(t->backend, desc, &prepared));
  CO_TRY(api->buffer_create(t->backend, choice.workspace + 1, &workspace));
  for (int round = 0; round < ROUNDS; round++) {
    double begun = co_session_now();
    CO_TRY(api->run(t->backend, prepared, in, out, workspace));
    *seconds = fmin(*seconds, co_session_now() - begun);
  }
cleanup:
  if (prepared) api->release(t->backend, prepared);
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++) {
    api->buffer_free(t->backend, in[i]);
    api->buffer_free(t->backend, out[i]);
  }
  api->buffer_free(t->backend, workspace);
  return status;
}

static co_tensor_desc tensor(int64_t rows, int64_t columns) {
  return (co_tensor_desc){
      .dtype = CO_F32, .layout = CO_LAYOUT_ANY, .shape = co_shape_make(2, rows, columns)};
}

co_status co_session_measure_machine(co_session *t, double *flops_per_second,
                                     double *bytes_per_second) {
  double seconds;
  co_op_desc product = {.op = CO_OP_DENSE, .has_in = 3, .has_out = 1};
  co_op_desc sum = {.op = CO_OP_ADD, .has_in = 3, .has_out = 1};
  *flops_per_second = *bytes_per_second = NAN;
  if (!t->backend->api->host_memory) return CO_OK;
  product.in[0] = product.in[1] = product.out[0] = tensor(SIDE, SIDE);
  CO_RETURN_IF_FAILED(time_operation(t, &product, &seconds));
  *flops_per_second = (double)co_op_flops(&product) / seconds;
  sum.in[0] = sum.in[1] = sum.out[0] = tensor(SUMMED / SIDE, SIDE);
  CO_RETURN_IF_FAILED(time_operation(t, &sum, &seconds));
  *bytes_per_second = 3.0 * SUMMED * sizeof(float) / seconds;
  return CO_OK;
}

co_status co_session_start_profile(co_session *t) {
  if (!t->options->profile) return CO_OK;
  if (t->estimator)
    return co_fail(CO_ERR_USAGE, "--profile is for networks: a predictor of type %s has no layers",
                   t->model->predictor);
  CO_RETURN_IF_FAILED(co_program_time(t->program));
  return co_session_measure_machine(t, &t->profile.flops_per_second, &t->profile.bytes_per_second);
}

// ---- what the layers took ----------------------------------------------------------------------

typedef struct layer_time {
  const char *name;
  double forward, backward, flops, bytes;
} layer_time;

typedef struct collecting {
  co_session *t;
  layer_time *layers;
  int64_t count, capacity;
  co_status status;
} collecting;

static layer_time *find_layer(collecting *c, const char *name) {
  for (int64_t i = 0; i < c->count; i++)
    if (strcmp(c->layers[i].name, name) == 0) return &c->layers[i];
  c->status = co_grow(c->t->ctx, (void **)&c->layers, &c->capacity, c->count, sizeof *c->layers);
  if (c->status != CO_OK) return NULL;
  c->layers[c->count] = (layer_time){.name = name};
  return &c->layers[c->count++];
}

static double operand_bytes(const co_plan *plan, const co_plan_op *op) {
  size_t bytes = 0;
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++) {
    if (op->in[i] != CO_NO_VALUE) bytes += plan->values[op->in[i]].bytes;
    if (op->out[i] != CO_NO_VALUE) bytes += plan->values[op->out[i]].bytes;
  }
  return (double)bytes;
}

static void add_operation(void *user, const co_plan *plan, const co_plan_op *op, bool update,
                          double seconds, int64_t runs) {
  collecting *c = user;
  const char *name = update ? "optimizer" : op->layer ? op->layer : "losses and metrics";
  layer_time *layer = c->status == CO_OK ? find_layer(c, name) : NULL;
  if (!layer) return;
  *(op->backward ? &layer->backward : &layer->forward) += seconds;
  layer->flops += (double)co_op_flops(&op->desc) * (double)runs;
  layer->bytes += operand_bytes(plan, op) * (double)runs;
}

static int slowest_first(const void *a, const void *b) {
  const layer_time *x = a, *y = b;
  double s = x->forward + x->backward, r = y->forward + y->backward;
  return s != r ? (s < r) - (s > r) : strcmp(x->name, y->name);
}

// The nearer of the machine's two ceilings, and how near.
static double share_of_ceiling(const co_step_profile *p, const layer_time *l, bool *compute) {
  double seconds = l->forward + l->backward;
  double flops = l->flops / seconds / p->flops_per_second,
         bytes = l->bytes / seconds / p->bytes_per_second;
  *compute = flops > bytes;
  return seconds > 0 ? fmax(flops, bytes) : 0;
}

static void render_layer(co_json *json, const co_step_profile *p, const layer_time *l) {
  bool compute;
  double seconds = l->forward + l->backward, share = share_of_ceiling(p, l, &compute);
  const struct {
    const char *key;
    double value;
  } numbers[] = {{"seconds", seconds},
                 {"forward_seconds", l->forward},
                 {"backward_seconds", l->backward},
                 {"gflop_per_s", seconds > 0 ? l->flops / seconds * 1e-9 : 0},
                 {"gb_per_s", seconds > 0 ? l->bytes / seconds * 1e-9 : 0},
                 {"share_of_ceiling", share}};
  co_json_open(json, '{');
  co_json_key(json, "layer");
  co_json_string(json, l->name);
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    co_json_key(json, numbers[i].key);
    co_json_double(json, numbers[i].value);
  }
  co_json_key(json, "ceiling");
  co_json_string(json, compute ? "compute" : "memory");
  co_json_close(json);
}

static void render(const collecting *c, co_json *json, double seconds) {
  const co_session *t = c->t;
  double operations = 0;
  for (int64_t i = 0; i < c->count; i++)
    operations += c->layers[i].forward + c->layers[i].backward;
  const struct {
    const char *key;
    double value;
  } numbers[] = {{"seconds", seconds},
                 {"operations_seconds", operations},
                 {"data_wait_seconds", t->wait_seconds},
                 {"ceiling_gflop_per_s", t->profile.flops_per_second * 1e-9},
                 {"ceiling_gb_per_s", t->profile.bytes_per_second * 1e-9}};
  co_json_open(json, '{');
  co_json_key(json, "steps");
  co_json_int(json, t->state.step - t->resumed_step);
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    co_json_key(json, numbers[i].key);
    co_json_double(json, numbers[i].value);
  }
  co_json_key(json, "layers");
  co_json_open(json, '[');
  for (int64_t i = 0; i < c->count; i++)
    render_layer(json, &t->profile, &c->layers[i]);
  co_json_close(json);
  co_json_close(json);
}

static void print(const collecting *c, co_text *text, double seconds) {
  const co_step_profile *p = &c->t->profile;
  bool cached = false;
  int width = 20;
  for (int64_t i = 0; i < c->count; i++)
    if ((int)strlen(c->layers[i].name) > width) width = (int)strlen(c->layers[i].name);
  if (width > MOST_WIDTH) width = MOST_WIDTH;
  co_text_printf(text, "%-*s %9s %6s %9s %9s %9s %9s  %s\n", width, "layer", "seconds", "share",
                 "forward", "backward", "GFLOP/s", "GB/s", "of the ceiling");
  for (int64_t i = 0; i < c->count; i++) {
    const layer_time *l = &c->layers[i];
    bool compute;
    double s = l->forward + l->backward, share = share_of_ceiling(p, l, &compute);
    co_text_printf(text, "%-*.*s %9.3f %5.1f%% %9.3f %9.3f %9.2f %9.2f  %3.0f %% of %s\n", width,
                   width, l->name, s, 100 * s / seconds, l->forward, l->backward,
                   s > 0 ? l->flops / s * 1e-9 : 0, s > 0 ? l->bytes / s * 1e-9 : 0, 100 * share,
                   compute ? "compute" : "memory");
    cached |= !compute && share > 1;
  }
  if (cached) co_text_printf(text, "(above the memory's ceiling: what stays in the caches)\n");
  co_text_printf(
      text,
      "steps in %.3f s, of which data was waited for %.3f s; the machine's ceilings here: "
      "%.1f GFLOP/s (a product of 1024), %.1f GB/s (a sum of 8 M)\n",
      seconds, c->t->wait_seconds, p->flops_per_second * 1e-9, p->bytes_per_second * 1e-9);
}

co_status co_session_write_profile(co_session *t) {
  if (!t->options->profile) return CO_OK;
  const double seconds =
      co_session_now() - t->started - t->evaluation_seconds - t->checkpoint_seconds;
  collecting c = {.t = t, .status = CO_OK};
  co_json json;
  co_json_init(&json, t->ctx, 2);
  char *path = co_arena_format(t->arena, "%s/profile.json", t->run.path);
  co_program_visit_times(t->program, add_operation, &c);
  co_status status = path ? c.status : CO_ERR_MEMORY;
  if (status == CO_OK && c.count) qsort(c.layers, (size_t)c.count, sizeof *c.layers, slowest_first);
  if (status == CO_OK) {
    render(&c, &json, seconds);
    print(&c, &t->profile.text, seconds);
    status = json.text.status;
  }
  if (status == CO_OK)
    status = co_write_file_atomic(t->ctx, path, json.text.data, json.text.length);
  co_json_free(&json);
  co_free(t->ctx, c.layers);
  return status;
}
