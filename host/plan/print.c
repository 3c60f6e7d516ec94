// SPDX-License-Identifier: Apache-2.0
// The table of a plan's operations.
#include <string.h>

#include "host/core/text_width.h"
#include "host/plan/plan.h"

static void print_count(co_text *out, double value, const char *const *units, double base) {
  int unit = 0;
  while (value >= base * 10 && units[unit + 1]) {
    value /= base;
    unit++;
  }
  co_text_printf(out, "%8.*f %-3s", value < 100 && unit ? 1 : 0, value, units[unit]);
}

static void print_bytes(co_text *out, size_t bytes) {
  static const char *const units[] = {"B", "KiB", "MiB", "GiB", NULL};
  print_count(out, (double)bytes, units, 1024);
}

static void print_flops(co_text *out, int64_t flops) {
  static const char *const units[] = {"", "k", "M", "G", "T", NULL};
  print_count(out, (double)flops, units, 1000);
}

static size_t output_bytes(const co_plan *plan, const co_plan_op *op) {
  size_t bytes = 0;
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++)
    if (op->out[i] != CO_NO_VALUE) bytes += plan->values[op->out[i]].bytes;
  return bytes;
}

int64_t co_plan_launches(const co_plan *plan) {
  int64_t launches = 0;
  for (int64_t i = 0; i < plan->op_count; i++)
    launches += plan->ops[i].choice.launches;
  return launches;
}

// Of a table only some rows are read, or updated: bytes that other operands have, too.
static bool is_table(const co_plan *plan, const co_plan_op *op, co_value value, int operand) {
  if (op->desc.op == CO_OP_EMBEDDING && op->in[operand] == value) return operand % 2 == 1;
  return plan->values[value].info.storage == CO_STORAGE_ROWS;
}

size_t co_plan_traffic(const co_plan *plan) {
  size_t bytes = 0;
  for (int64_t i = 0; i < plan->op_count; i++)
    for (int k = 0; k < CO_OP_MAX_OPERANDS; k++) {
      const co_plan_op *op = &plan->ops[i];
      const co_value in = op->in[k], out = op->out[k];
      if (in != CO_NO_VALUE && !is_table(plan, op, in, k)) bytes += plan->values[in].bytes;
      if (out != CO_NO_VALUE && !is_table(plan, op, out, k)) bytes += plan->values[out].bytes;
    }
  return bytes;
}

// "engine 58, 2 of 16, tensor cores, 124.3 MiB"
static void print_engine(co_text *out, const co_op_choice *choice, bool more) {
  const co_op_engine *engine = &choice->engine;
  if (!engine->rank) return;
  co_text_printf(out, "%sengine %lld, %d of %d, %s, %.1f MiB", more ? "; " : "",
                 (long long)engine->index, engine->rank, engine->offered,
                 engine->tensor_cores ? "tensor cores" : "no tensor cores",
                 (double)choice->workspace / 1048576);
}

// "timed: 3: engine 58, 2 of 16": the way that a run computes in.
static void print_way(co_text *out, const co_op_choice *choice, bool more) {
  static const char *const chosen[] = {"the library's first", "timed", "from the cache",
                                       "the run's"};
  co_text_printf(out, "%s%s: %s", more ? "; " : "", chosen[choice->chosen], choice->way);
}

// Launches, note, why there are so many, and by which engine.
static void print_launches(co_text *out, const co_plan_op *op) {
  const char *reason = co_op_get_info(op->desc.op)->why, *why = op->choice.why;
  co_text_printf(out, "  %8d  %-6s  %-36s  %s%s%s", op->choice.launches, op->beside ? "beside" : "",
                 op->note ? op->note : "", reason ? reason : "", reason && why ? "; " : "",
                 why ? why : "");
  if (op->choice.way)
    print_way(out, &op->choice, reason || why);
  else
    print_engine(out, &op->choice, reason || why);
  if (op->choice.refused)
    co_text_printf(out, "%sby %s", reason || why || op->choice.way ? "; not " : "not ",
                   op->choice.refused);
}

void co_plan_print(const co_plan *plan, co_text *out) {
  co_backend *backend = plan->backend;
  bool counted = co_plan_launches(plan) > 0;
  co_text_printf(out, "%-28s %-24s %-22s %-4s %-14s %-24s %12s %12s", "layer", "operation",
                 "result", "type", "layout", "implementation", "bytes", "FLOPs");
  if (counted)
    co_text_printf(out, "  %8s  %-6s  %-36s  %s\n", "launches", "branch", "note", "why");
  else
    co_text_printf(out, "  %s\n", "note");
  for (int64_t i = 0; i < plan->op_count; i++) {
    const co_plan_op *op = &plan->ops[i];
    const co_tensor_desc *result = &op->desc.out[0];
    char shape[96];
    co_shape_print(&result->shape, shape, sizeof shape);
    co_text_pad(out, op->layer ? op->layer : "", 28, 0, false);
    co_text_printf(out, " %-24s %-22s %-4s %-14s %-24s ", co_op_get_info(op->desc.op)->name, shape,
                   co_dtype_name(result->dtype), backend->api->layout_name(backend, result->layout),
                   op->choice.implementation);
    print_bytes(out, output_bytes(plan, op));
    co_text_printf(out, " ");
    print_flops(out, co_op_flops(&op->desc));
    if (counted)
      print_launches(out, op);
    else
      co_text_printf(out, "  %s", op->note ? op->note : "");
    co_text_end_line(out);
  }
}
