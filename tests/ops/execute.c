// SPDX-License-Identifier: Apache-2.0
// Runs a problem on a backend. Every tensor lies between guard bytes; outputs and workspace are
// filled with bad values; the whole is uploaded, run, downloaded, compared, and run again.
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "ops_test.h"

enum {
  GUARD = 256, // a multiple of every backend's alignment
  GUARD_BYTE = 0xC3,
  BAD_REAL = 0xFF, // NaN in f32, f64 and bf16
  BAD_INTEGER = 0xA5
};

void ops_fail(ops_report *report, const ops_problem *p, const char *where, const char *format,
              ...) {
  char what[320];
  va_list arguments;
  va_start(arguments, format);
  (void)vsnprintf(what, sizeof what, format, arguments);
  va_end(arguments);
  report->failures++;
  (void)snprintf(report->last, sizeof report->last, "FAIL %s '%s'%s on %s: %s",
                 co_op_get_info(p->desc.op)->name, p->text,
                 p->values == OPS_INTEGER ? " (integers)" : "", where, what);
  if (report->stream != NULL) (void)fprintf(report->stream, "%s\n", report->last);
}

// ---- buffers -----------------------------------------------------------------------------------

typedef struct buffer {
  co_backend *backend;
  unsigned char *device, *before, *after; // with guards
  size_t payload, total;
} buffer;

static bool buffer_open(buffer *b, co_backend *backend, size_t payload, int filling) {
  b->backend = backend;
  b->payload = payload;
  b->total = payload + 2 * (size_t)GUARD;
  b->before = ops_allocate(b->total);
  b->after = ops_allocate(b->total);
  memset(b->before, GUARD_BYTE, b->total);
  memset(b->before + GUARD, filling, payload);
  void *device = NULL;
  if (backend->api->buffer_create(backend, b->total, &device) != CO_OK) return false;
  b->device = device;
  return true;
}

static void buffer_close(buffer *b) {
  if (b->device != NULL) b->backend->api->buffer_free(b->backend, b->device);
  free(b->before);
  free(b->after);
  memset(b, 0, sizeof *b);
}

static bool buffer_upload(buffer *b) {
  return b->device == NULL ||
         b->backend->api->upload(b->backend, b->device, b->before, b->total) == CO_OK;
}

static bool buffer_download(buffer *b) {
  return b->device == NULL ||
         b->backend->api->download(b->backend, b->after, b->device, b->total) == CO_OK;
}

static void *payload_of(const buffer *b) {
  return b->device != NULL ? b->device + GUARD : NULL;
}

static const char *guard_damage(const buffer *b) {
  if (b->device == NULL) return NULL;
  if (memcmp(b->before, b->after, GUARD) != 0) return "wrote before the start";
  size_t end = GUARD + b->payload;
  if (memcmp(b->before + end, b->after + end, GUARD) != 0) return "wrote past the end";
  return NULL;
}

// ---- layouts -----------------------------------------------------------------------------------

// Copies between a canonical tensor and one in another layout, by REORDER of the same backend.
// OPS_REFUSED where the backend cannot.
static ops_outcome reorder(co_backend *backend, const co_tensor_desc *from,
                           const co_tensor_desc *to, const void *x, void *y) {
  const co_backend_api *api = backend->api;
  co_op_desc desc;
  memset(&desc, 0, sizeof desc);
  desc.op = CO_OP_REORDER;
  desc.has_in = desc.has_out = 1;
  desc.in[0] = *from;
  desc.out[0] = *to;
  co_op_choice choice;
  if (api->query(backend, &desc, &choice) != CO_OK) return OPS_REFUSED;
  if (choice.in[0] != from->layout || choice.out[0] != to->layout) return OPS_REFUSED;
  co_prepared *prepared = NULL;
  if (api->prepare(backend, &desc, &prepared) != CO_OK) return OPS_FAILED;
  buffer in = {0}, out = {0}, workspace = {0};
  bool ok = buffer_open(&in, backend, api->layout_bytes(backend, from), BAD_INTEGER) &&
            buffer_open(&out, backend, api->layout_bytes(backend, to), BAD_REAL);
  if (ok && choice.workspace > 0) ok = buffer_open(&workspace, backend, choice.workspace, BAD_REAL);
  if (ok) {
    memcpy(in.before + GUARD, x, in.payload);
    ok = buffer_upload(&in) && buffer_upload(&out) && buffer_upload(&workspace);
  }
  if (ok) {
    void *ins[CO_OP_MAX_OPERANDS] = {payload_of(&in)},
         *outs[CO_OP_MAX_OPERANDS] = {payload_of(&out)};
    ok = api->run(backend, prepared, ins, outs, payload_of(&workspace)) == CO_OK &&
         api->synchronize(backend) == CO_OK && buffer_download(&in) && buffer_download(&out) &&
         buffer_download(&workspace);
  }
  if (ok) {
    ok =
        guard_damage(&in) == NULL && guard_damage(&out) == NULL && guard_damage(&workspace) == NULL;
    memcpy(y, out.after + GUARD, out.payload);
  }
  buffer_close(&in);
  buffer_close(&out);
  buffer_close(&workspace);
  api->release(backend, prepared);
  return ok ? OPS_RAN : OPS_FAILED;
}

static co_tensor_desc canonical(const co_tensor_desc *desc) {
  co_tensor_desc out = *desc;
  out.layout = CO_LAYOUT_CANONICAL;
  return out;
}

// ---- running -----------------------------------------------------------------------------------

typedef struct run_state {
  ops_report *report;
  const ops_problem *problem;
  co_backend *backend;
  const ops_mode *mode;
  co_op_desc desc;
  co_op_choice choice;
  co_prepared *prepared;
  buffer in[CO_OP_MAX_OPERANDS], out[CO_OP_MAX_OPERANDS], workspace;
  int alias[CO_OP_MAX_OPERANDS]; // output -> the input whose memory it is, -1
  bool used_up[CO_OP_MAX_OPERANDS];
  bool unmade; // an input in a private layout that no forward operation makes
} run_state;

static const char *where(const run_state *s) {
  if (s->mode->policy == CO_BF16) return s->mode->accumulate ? "bf16 accumulating" : "bf16";
  if (s->mode->policy == CO_F64) return s->mode->accumulate ? "ref f64 accumulating" : "ref f64";
  if (s->mode->accumulate)
    return s->backend->api->name[0] == 'r' ? "ref accumulating" : "accumulating";
  return s->backend->api->name;
}

static bool failed(const run_state *s, const char *what, int i, bool input) {
  ops_fail(s->report, s->problem, where(s), "%s %d (%s): %s", input ? "input" : "output", i,
           s->choice.implementation != NULL ? s->choice.implementation : "?", what);
  return false;
}

static bool set_layouts(run_state *s) {
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++) {
    s->desc.in[i].layout = s->desc.has_in >> i & 1 ? s->choice.in[i] : CO_LAYOUT_CANONICAL;
    s->desc.out[i].layout = s->desc.has_out >> i & 1 ? s->choice.out[i] : CO_LAYOUT_CANONICAL;
    if (s->desc.in[i].layout == CO_LAYOUT_ANY || s->desc.out[i].layout == CO_LAYOUT_ANY) {
      failed(s, "the query left the layout open", i, s->desc.in[i].layout == CO_LAYOUT_ANY);
      return false;
    }
  }
  return true;
}

static bool same_layouts(const run_state *s, const co_op_choice *other) {
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++)
    if (((s->desc.has_in >> i & 1) && s->choice.in[i] != other->in[i]) ||
        ((s->desc.has_out >> i & 1) && s->choice.out[i] != other->out[i]))
      return false;
  return true;
}

// Brings canonical values into a buffer of the operand's layout.
static ops_outcome place(run_state *s, buffer *b, const co_tensor_desc *operand,
                         const void *values) {
  size_t bytes = s->backend->api->layout_bytes(s->backend, operand);
  co_tensor_desc from = canonical(operand);
  if (!buffer_open(b, s->backend, bytes, 0)) return OPS_FAILED;
  if (operand->layout == CO_LAYOUT_CANONICAL) {
    if (bytes != co_tensor_bytes(operand)) return OPS_FAILED;
    memcpy(b->before + GUARD, values, bytes);
    return OPS_RAN;
  }
  return reorder(s->backend, &from, operand, values, b->before + GUARD);
}

// Layout that this operation has for the gradient of an operand of the forward one, else ANY.
static co_layout layout_of_gradient(const run_state *s, const char *list, int i) {
  const co_op_info *info = co_op_get_info(s->desc.op);
  const char *name, *gradient;
  size_t length, gradient_length;
  bool optional;
  if (!co_operand_get(list, i, &name, &length, &optional)) return CO_LAYOUT_ANY;
  for (int side = 0; side < 2; side++)
    for (int k = 0; co_operand_get(side ? info->outputs : info->inputs, k, &gradient,
                                   &gradient_length, &optional);
         k++)
      if (gradient_length == length + 1 && gradient[0] == 'd' &&
          memcmp(gradient + 1, name, length) == 0)
        return side ? s->desc.out[k].layout : s->desc.in[k].layout;
  return CO_LAYOUT_ANY;
}

// Private layouts are for what only the backward operation reads, saved integers (argmax of a pool) and
// what a recurrent layer saves; the reader is tested instead.
static bool is_private(const run_state *s, int i, bool input) {
  const co_op_info *info = co_op_get_info(s->desc.op);
  const uint32_t real = input ? s->problem->real_in : s->problem->real_out;
  return (real >> i & 1) == 0 ||
         co_operand_find(input ? info->inputs : info->outputs, "saved", strlen("saved")) == i;
}

// A saved operand in a private layout that REORDER does not make comes from a run of the forward
// operation.
static ops_outcome place_from_forward(run_state *s, int input) {
  const ops_problem *forward = s->problem->forward;
  const co_op_info *info = co_op_get_info(s->desc.op);
  const char *name;
  size_t length;
  bool optional;
  if (forward == NULL || !co_operand_get(info->inputs, input, &name, &length, &optional))
    return OPS_FAILED;
  int output = co_operand_find(co_op_get_info(forward->desc.op)->outputs, name, length);
  if (output < 0) return OPS_FAILED;
  ops_mode mode = {.policy = s->mode->policy, .any = true};
  run_state first = {.report = s->report, .problem = forward, .backend = s->backend, .mode = &mode};
  const co_backend_api *api = s->backend->api;
  ops_outcome outcome = OPS_FAILED;
  void *ins[CO_OP_MAX_OPERANDS] = {0}, *outs[CO_OP_MAX_OPERANDS] = {0};
  first.desc = ops_problem_desc(forward, mode.policy);
  co_op_desc question = first.desc;
  const co_op_info *of_forward = co_op_get_info(forward->desc.op);
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++) {
    question.in[i].layout = layout_of_gradient(s, of_forward->inputs, i);
    question.out[i].layout = layout_of_gradient(s, of_forward->outputs, i);
  }
  question.out[output].layout = s->desc.in[input].layout;
  if (api->query(s->backend, &question, &first.choice) != CO_OK || !set_layouts(&first))
    return OPS_FAILED;
  if (first.desc.out[output].layout != s->desc.in[input].layout) return OPS_FAILED;
  bool ok = api->prepare(s->backend, &first.desc, &first.prepared) == CO_OK;
  for (int i = 0; ok && i < CO_OP_MAX_OPERANDS; i++) {
    if (first.desc.has_in >> i & 1) {
      void *values = ops_narrow(forward->in[i], co_shape_count(&first.desc.in[i].shape),
                                (forward->real_in >> i & 1) != 0, forward->desc.in[i].dtype,
                                first.desc.in[i].dtype);
      ok = place(&first, &first.in[i], &first.desc.in[i], values) == OPS_RAN &&
           buffer_upload(&first.in[i]);
      free(values);
      ins[i] = payload_of(&first.in[i]);
    }
    if (ok && (first.desc.has_out >> i & 1)) {
      size_t bytes = api->layout_bytes(s->backend, &first.desc.out[i]);
      ok = buffer_open(&first.out[i], s->backend, bytes, BAD_REAL) && buffer_upload(&first.out[i]);
      outs[i] = payload_of(&first.out[i]);
    }
  }
  if (ok && first.choice.workspace > 0)
    ok = buffer_open(&first.workspace, s->backend, first.choice.workspace, BAD_REAL) &&
         buffer_upload(&first.workspace);
  if (ok)
    ok = api->run(s->backend, first.prepared, ins, outs, payload_of(&first.workspace)) == CO_OK &&
         api->synchronize(s->backend) == CO_OK && buffer_download(&first.out[output]);
  if (ok && first.out[output].payload == s->in[input].payload) {
    memcpy(s->in[input].before + GUARD, first.out[output].after + GUARD, s->in[input].payload);
    outcome = OPS_RAN;
  }
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++) {
    buffer_close(&first.in[i]);
    buffer_close(&first.out[i]);
  }
  buffer_close(&first.workspace);
  if (first.prepared != NULL) api->release(s->backend, first.prepared);
  return outcome;
}

static bool place_inputs(run_state *s) {
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++) {
    if ((s->desc.has_in >> i & 1) == 0) continue;
    const co_tensor_desc *operand = &s->desc.in[i];
    void *values = ops_narrow(s->problem->in[i], co_shape_count(&operand->shape),
                              (s->problem->real_in >> i & 1) != 0, s->problem->desc.in[i].dtype,
                              operand->dtype);
    ops_outcome outcome = place(s, &s->in[i], operand, values);
    free(values);
    if (outcome == OPS_REFUSED && is_private(s, i, true)) {
      s->unmade = s->problem->forward == NULL;
      if (s->unmade) return false;
      s->used_up[i] = (s->problem->real_in >> i & 1) != 0;
      outcome = place_from_forward(s, i);
    }
    if (outcome != OPS_RAN)
      return failed(s, "cannot be brought into the layout asked for", i, true);
  }
  return true;
}

static bool place_outputs(run_state *s) {
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++) {
    s->alias[i] = -1;
    if ((s->desc.has_out >> i & 1) == 0) continue;
    const co_tensor_desc *operand = &s->desc.out[i];
    bool always, real = operand->dtype >= CO_F32;
    int of = co_op_alias(s->desc.op, i, &always);
    if (of >= 0 && (always || (s->mode->in_place && operand->layout == s->desc.in[of].layout))) {
      s->alias[i] = of;
      if (operand->layout != s->desc.in[of].layout)
        return failed(s, "must be in the layout of the input it replaces", i, false);
      continue;
    }
    if (s->mode->accumulate >> i & 1) {
      void *values = ops_narrow(s->mode->start[i], co_shape_count(&operand->shape),
                                (s->problem->real_out >> i & 1) != 0, s->problem->desc.out[i].dtype,
                                operand->dtype);
      ops_outcome outcome = place(s, &s->out[i], operand, values);
      free(values);
      if (outcome != OPS_RAN) return failed(s, "cannot be brought into its layout", i, false);
    } else if (!buffer_open(&s->out[i], s->backend,
                            s->backend->api->layout_bytes(s->backend, operand),
                            real ? BAD_REAL : BAD_INTEGER)) {
      return failed(s, "no memory", i, false);
    }
  }
  return s->choice.workspace == 0 ||
         buffer_open(&s->workspace, s->backend, s->choice.workspace, BAD_REAL) ||
         failed(s, "no memory for the workspace", 0, false);
}

static bool check_launches(const run_state *s, long launches) {
  const co_op_choice *choice = &s->choice;
  if (launches != choice->launches)
    ops_fail(s->report, s->problem, where(s), "%s says %d launches and makes %ld",
             choice->implementation, choice->launches, launches);
  else if ((launches > 1) != (choice->why != NULL))
    ops_fail(s->report, s->problem, where(s), "%s makes %ld launches and says why: %s",
             choice->implementation, launches, choice->why ? choice->why : "nothing");
  else
    return true;
  return false;
}

static bool run_once(run_state *s) {
  const co_backend_api *api = s->backend->api;
  void *in[CO_OP_MAX_OPERANDS] = {0}, *out[CO_OP_MAX_OPERANDS] = {0};
  bool ok = buffer_upload(&s->workspace);
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++) {
    ok = ok && buffer_upload(&s->in[i]) && buffer_upload(&s->out[i]);
    in[i] = payload_of(&s->in[i]);
    out[i] = s->desc.has_out >> i & 1
                 ? payload_of(s->alias[i] >= 0 ? &s->in[s->alias[i]] : &s->out[i])
                 : NULL;
  }
  long before = s->report->enqueued ? s->report->enqueued() : 0, launches = 0;
  ok = ok && api->run(s->backend, s->prepared, in, out, payload_of(&s->workspace)) == CO_OK;
  if (s->report->enqueued) launches = s->report->enqueued() - before;
  ok = ok && api->synchronize(s->backend) == CO_OK && buffer_download(&s->workspace);
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++)
    ok = ok && buffer_download(&s->in[i]) && buffer_download(&s->out[i]);
  if (!ok) {
    ops_fail(s->report, s->problem, where(s), "run failed: %s", co_error_last()->message);
    return false;
  }
  if (s->report->enqueued && !check_launches(s, launches)) return false;
  bool written[CO_OP_MAX_OPERANDS] = {false};
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++)
    if (s->alias[i] >= 0) written[s->alias[i]] = true;
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++) {
    const buffer *b = &s->in[i];
    const char *damage = guard_damage(b);
    if (damage != NULL) return failed(s, damage, i, true);
    if (b->device != NULL && !written[i] && !s->used_up[i] &&
        memcmp(b->before + GUARD, b->after + GUARD, b->payload) != 0)
      return failed(s, "was changed", i, true);
    damage = guard_damage(&s->out[i]);
    if (damage != NULL) return failed(s, damage, i, false);
  }
  if (guard_damage(&s->workspace) != NULL)
    return failed(s, "used more workspace than it asked for", 0, false);
  return true;
}

static buffer *result_of(run_state *s, int i) {
  return s->alias[i] >= 0 ? &s->in[s->alias[i]] : &s->out[i];
}

static bool run_twice(run_state *s) {
  unsigned char *first[CO_OP_MAX_OPERANDS] = {0};
  bool ok = run_once(s);
  for (int i = 0; ok && i < CO_OP_MAX_OPERANDS; i++)
    if (s->desc.has_out >> i & 1) {
      const buffer *b = result_of(s, i);
      first[i] = ops_allocate(b->payload);
      memcpy(first[i], b->after + GUARD, b->payload);
    }
  ok = ok && run_once(s);
  for (int i = 0; ok && i < CO_OP_MAX_OPERANDS; i++)
    if (first[i] != NULL &&
        memcmp(first[i], result_of(s, i)->after + GUARD, result_of(s, i)->payload) != 0)
      ok = failed(s, "differs in a second run", i, false);
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++)
    free(first[i]);
  return ok;
}

static bool collect(run_state *s, void **out) {
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++) {
    if ((s->desc.has_out >> i & 1) == 0) continue;
    const co_tensor_desc *operand = &s->desc.out[i];
    const unsigned char *payload = result_of(s, i)->after + GUARD;
    co_tensor_desc to = canonical(operand);
    out[i] = ops_allocate(co_tensor_bytes(&to));
    if (operand->layout == CO_LAYOUT_CANONICAL) {
      memcpy(out[i], payload, co_tensor_bytes(operand));
      continue;
    }
    ops_outcome outcome = reorder(s->backend, operand, &to, payload, out[i]);
    if (outcome == OPS_RAN) continue;
    free(out[i]);
    out[i] = NULL;
    if (outcome != OPS_REFUSED || !is_private(s, i, false))
      return failed(s, "cannot be brought back from its layout", i, false);
  }
  return true;
}

ops_outcome ops_execute(ops_report *report, const ops_problem *problem, co_backend *backend,
                        const ops_mode *mode, co_op_choice *choice, void **out) {
  const co_backend_api *api = backend->api;
  run_state s = {.report = report, .problem = problem, .backend = backend, .mode = mode};
  s.desc = ops_problem_desc(problem, mode->policy);
  s.desc.accumulate = mode->accumulate;
  co_op_desc question = s.desc;
  if (mode->any || mode->facts != NULL)
    for (int i = 0; i < CO_OP_MAX_OPERANDS; i++) {
      if (question.has_in >> i & 1)
        question.in[i].layout = mode->any ? CO_LAYOUT_ANY : mode->facts->in[i];
      if (question.has_out >> i & 1)
        question.out[i].layout = mode->any ? CO_LAYOUT_ANY : mode->facts->out[i];
    }
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++)
    out[i] = NULL;
  co_error_clear();
  co_status status = api->query(backend, &question, &s.choice);
  if (status == CO_ERR_DEVICE && mode->accumulate != 0) {
    report->refusals++;
    return OPS_REFUSED;
  }
  if (status != CO_OK) {
    ops_fail(report, problem, where(&s), "refused: %s", co_error_last()->message);
    return OPS_FAILED;
  }
  if (choice != NULL) *choice = s.choice;
  if (s.choice.implementation == NULL) {
    ops_fail(report, problem, where(&s), "the query names no implementation");
    return OPS_FAILED;
  }
  if (!set_layouts(&s)) return OPS_FAILED;
  if (mode->unlike != NULL && same_layouts(&s, mode->unlike)) return OPS_SAME;
  report->checks++;
  status = api->prepare(backend, &s.desc, &s.prepared);
  if (status != CO_OK) {
    ops_fail(report, problem, where(&s), "prepare failed: %s", co_error_last()->message);
    return OPS_FAILED;
  }
  bool ok = place_inputs(&s) && place_outputs(&s) && run_twice(&s) && collect(&s, out);
  api->release(backend, s.prepared);
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++) {
    buffer_close(&s.in[i]);
    buffer_close(&s.out[i]);
    if (!ok) {
      free(out[i]);
      out[i] = NULL;
    }
  }
  buffer_close(&s.workspace);
  return ok ? OPS_RAN : s.unmade ? OPS_SAME : OPS_FAILED;
}
