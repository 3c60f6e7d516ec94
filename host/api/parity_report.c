// SPDX-License-Identifier: Apache-2.0
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "host/api/parity.h"

static const char *const stage_names[] = {"inference", "training"};

// What differences are told in: the tensor's largest element. Where rounding makes more than this
// part of it, its terms cancel, and about their size is taken instead.
static const double cancelled = 0x1p-17;

static double unit_of(const co_parity_difference *d) {
  double unit = fmax(d->scale, d->rounding / cancelled);
  return unit > 0 ? unit : 1;
}

double co_parity_allowed(const co_parity *p, const co_parity_difference *d, bool gradient) {
  double tolerance = gradient ? p->tolerance : p->tolerance_outputs;
  if (p->options->tolerance > 0) return tolerance * unit_of(d); // no more than was asked for
  return tolerance * d->scale + p->roundings * d->rounding;
}

static void put_number(co_json *json, const char *key, double value) {
  co_json_key(json, key);
  co_json_double(json, value);
}

co_status co_parity_report_row(co_parity *p, int stage, const char *layer, const char *kind,
                               const char *part, const co_parity_difference *d) {
  double allowed = co_parity_allowed(p, d, strcmp(kind, "gradient") == 0), unit = unit_of(d);
  bool within = d->largest <= allowed;
  co_json *json = &p->result->json;
  p->compared++;
  if (d->largest / unit > p->largest) p->largest = d->largest / unit;
  co_json_open(json, '{');
  co_json_key(json, "stage");
  co_json_string(json, stage_names[stage]);
  co_json_key(json, "layer");
  co_json_string(json, layer);
  co_json_key(json, "kind");
  co_json_string(json, kind);
  co_json_key(json, "name");
  co_json_string(json, part);
  put_number(json, "difference", d->largest / unit);
  put_number(json, "allowed", allowed / unit);
  co_json_key(json, "within");
  co_json_bool(json, within);
  co_json_close(json);
  char tensor[64];
  snprintf(tensor, sizeof tensor, "%s%s%s", kind, *part ? " " : "", part);
  co_text_printf(&p->result->text, "%-10s %-36s %-26s %10.2e %10.2e  %s\n", stage_names[stage],
                 layer, tensor, d->largest / unit, allowed / unit,
                 within ? "ok" : "OUT OF TOLERANCE");
  if (within || p->failed++) return CO_OK;
  p->culprit = co_arena_strdup(p->arena, layer);
  p->first = co_arena_format(
      p->arena, "'%s': its %s in %s differs from the reference by %.3g, more than %.3g", layer,
      tensor, stage_names[stage], d->largest / unit, allowed / unit);
  return p->culprit && p->first ? CO_OK : CO_ERR_MEMORY;
}

void co_parity_report_head(co_parity *p) {
  co_json *json = &p->result->json;
  const char *device = p->device.backend->api->name;
  co_json_key(json, "model");
  co_json_string(json, p->path);
  co_json_key(json, "dataset");
  co_json_string(json, p->options->dataset);
  co_json_key(json, "split");
  co_json_string(json, co_split_name(p->split));
  co_json_key(json, "rows");
  co_json_int(json, p->shape.rows);
  co_json_key(json, "device");
  co_json_string(json, device);
  co_json_key(json, "precision");
  co_json_string(json, co_precision_name(p->precision));
  co_json_key(json, "tolerance");
  co_json_double(json, p->tolerance);
  co_text_printf(&p->result->text,
                 "%s: %s in precision %s against the reference in double, %lld %s rows\n"
                 "difference: max |a - b| / max |b| of a tensor, at most %g%s\n\n%-10s %-36s %-26s "
                 "%10s %10s\n",
                 p->path, device, co_precision_name(p->precision), (long long)p->shape.rows,
                 co_split_name(p->split), p->tolerance,
                 p->options->tolerance > 0 ? "" : " and what rounding makes of it", "stage",
                 "layer", "tensor", "difference", "allowed");
}

co_status co_parity_report_verdict(co_parity *p) {
  co_json *json = &p->result->json;
  co_json_key(json, "batches");
  co_json_int(json, p->batches);
  co_json_key(json, "compared");
  co_json_int(json, p->compared);
  co_json_key(json, "out_of_tolerance");
  co_json_int(json, p->failed);
  co_json_key(json, "largest");
  co_json_double(json, p->largest);
  co_json_key(json, "first");
  if (p->culprit)
    co_json_string(json, p->culprit);
  else
    co_json_null(json);
  co_text_printf(&p->result->text, "\n%lld tensors, %lld batch%s, largest difference %.2e: %s\n",
                 (long long)p->compared, (long long)p->batches, p->batches == 1 ? "" : "es",
                 p->largest, p->failed ? "NOT the same" : "the same");
  if (!p->failed) return CO_OK;
  co_status status = co_fail(CO_ERR_GATE, "%s", p->first);
  co_hint(
      "%lld of %lld tensors are out of tolerance; what comes after the first may follow from it",
      (long long)p->failed, (long long)p->compared);
  return status;
}
