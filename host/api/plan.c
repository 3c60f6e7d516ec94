// SPDX-License-Identifier: Apache-2.0
// cohort_plan: what a config would run: layers, parameters, operations, memory, FLOPs. Nothing is
// trained.
#include <stdio.h>
#include <string.h>

#include "host/api/api.h"
#include "host/core/file.h"
#include "host/core/text_width.h"
#include "host/device/backend.h"
#include "host/device/choices.h"
#include "host/eval/decoding.h"
#include "host/eval/opening.h"
#include "host/feed/resident.h"
#include "host/feed/shape_classes.h"
#include "host/graph/layer.h"
#include "host/train/settings.h"

typedef struct planning {
  co_context *ctx;
  const cohort_plan_options *options;
  co_diagnostics *problems;
  co_arena *arena;
  co_node *config;
  co_trainer_settings settings;
  co_dataset *dataset;
  co_model *model;
  co_choices *choices; // of the run, NULL = none is given
  co_backend *backend;
  co_resident *resident;
  co_program *program;
  int64_t rows, step_rows;  // of a micro-batch, of an effective batch
  co_shape_class evaluated; // of a batch that is scored, of events the longest
} planning;

static co_status read_inputs(planning *p) {
  const cohort_config *config = &p->options->config;
  if (!config->file_count) {
    co_status status = co_fail(CO_ERR_USAGE, "there is no config");
    co_hint("give -c CONFIG.yaml, for example -c models/presets/product-cnn.yaml");
    return status;
  }
  CO_RETURN_IF_FAILED(co_settings_read(&p->config, p->arena, config->files, config->file_count,
                                       config->assignments, config->assignment_count, p->problems));
  CO_RETURN_IF_FAILED(co_settings_parse_trainer(&p->settings, p->config, p->arena, p->problems));
  CO_RETURN_IF_FAILED(co_choose_precision(&p->settings.precision, p->options->precision));
  if (p->settings.predictor.class_)
    return co_fail(CO_ERR_USAGE, "a predictor of type %s is no network: there is nothing to plan",
                   p->settings.predictor.class_->name);
  const char *path = p->options->dataset ? p->options->dataset : co_settings_dataset(p->config);
  if (!path) {
    if (p->problems->count) return co_diagnostics_result(p->problems);
    co_status status = co_fail(CO_ERR_USAGE, "there is no dataset");
    co_hint("give --dataset FILE.h5: shapes and classes come from it");
    return status;
  }
  CO_RETURN_IF_FAILED(co_dataset_open(&p->dataset, p->ctx, path));
  co_status status =
      co_model_create(&p->model, p->ctx, p->config, co_dataset_schema(p->dataset), p->problems);
  if (status != CO_OK && status != CO_ERR_CONFIG) return status;
  return p->problems->count ? co_diagnostics_result(p->problems) : CO_OK;
}

static co_status read_choices(planning *p) {
  const char *run = p->options->run_dir;
  if (!run) return CO_OK;
  char *path = co_path_join(p->ctx, run, CO_RUN_CHOICES);
  if (!path) return CO_ERR_MEMORY;
  co_status status = co_choices_create(&p->choices, p->ctx, 0, false);
  if (status == CO_OK && !co_path_exists(path)) {
    status = co_fail_at(CO_ERR_MODEL, path, 0, 0, "there is none: the run has chosen nothing");
    co_hint("runs on a GPU choose, unless they are told --autotune off; plan without --run-dir");
  }
  if (status == CO_OK) status = co_choices_read_run(p->choices, path, CO_RUN_TELLS);
  co_free(p->ctx, path);
  return status;
}

static co_status create_program(planning *p) {
  const co_trainer_settings *settings = &p->settings;
  const int64_t *samples;
  int64_t train_rows;
  CO_RETURN_IF_FAILED(co_dataset_split(p->dataset, CO_SPLIT_TRAIN, &samples, &train_rows));
  CO_RETURN_IF_FAILED(co_check_batch_size(p->options->batch_size));
  bool inference = p->options->inference;
  int64_t rows = p->options->batch_size ? p->options->batch_size
                 : inference            ? co_bound_rows(p->model, settings->eval_batch_size)
                                        : settings->batch_size;
  int64_t effective = rows * settings->accumulate_grad_batches;
  if (train_rows && effective > train_rows) effective = train_rows;
  co_shape_class classes[2 * CO_MAX_LENGTHS], evaluation[CO_MAX_LENGTHS];
  int64_t class_count = 0, evaluation_count = 0;
  CO_RETURN_IF_FAILED(co_fit_lengths(p->model, p->dataset));
  co_shape_classes_add(p->model, effective, classes, &class_count);
  if (effective) co_shape_classes_add(p->model, train_rows % effective, classes, &class_count);
  co_shape_classes_add(p->model,
                       inference ? rows : co_bound_rows(p->model, settings->eval_batch_size),
                       evaluation, &evaluation_count);
  co_phase_options phases[CO_MAX_PHASES];
  int64_t phase_count;
  CO_RETURN_IF_FAILED(
      co_param_groups_apply(p->model->network, &settings->param_groups, p->problems));
  CO_RETURN_IF_FAILED(
      co_settings_phases(phases, &phase_count, settings, p->model->network, p->problems));
  if (p->problems->count) return co_diagnostics_result(p->problems);
  co_program_options options = {.rows = rows < effective ? rows : effective,
                                .classes = classes,
                                .class_count = class_count,
                                .evaluation_classes = evaluation,
                                .evaluation_class_count = evaluation_count,
                                .evaluation_mode = inference ? CO_MODE_INFER : CO_MODE_EVALUATE,
                                .phases = phases,
                                .phase_count = inference ? 0 : phase_count,
                                .real = CO_F32,
                                .bf16 = settings->precision == CO_PRECISION_BF16};
  p->rows = options.rows;
  p->step_rows = inference ? 0 : effective;
  CO_RETURN_IF_FAILED(read_choices(p));
  const co_backend_options backend = {.threads = p->options->threads,
                                      .strict_f32 = settings->precision == CO_PRECISION_F32,
                                      .planning = true,
                                      .ways = co_choices_ways(p->choices)};
  CO_RETURN_IF_FAILED(co_backend_open_device(&p->backend, p->ctx, p->options->device, &backend));
  p->evaluated = evaluation[evaluation_count - 1];
  if (inference) // each row is needed once: it comes with its batch
    return co_resident_create(&p->resident, &p->program, p->model, NULL, p->backend, &options,
                              CO_PLACEMENT_HOST);
  return co_resident_create(&p->resident, &p->program, p->model, p->dataset, p->backend, &options,
                            CO_PLACEMENT_AUTO);
}

// *rate: of its last parameter, as a multiple of the trainer's.
static int64_t layer_parameters(const co_graph *graph, const char *layer, bool *frozen,
                                double *rate) {
  int64_t count = 0;
  *frozen = false;
  *rate = 1;
  for (int64_t i = 0; i < graph->param_count; i++) {
    if (strcmp(graph->params[i].layer, layer) != 0) continue;
    count += co_shape_count(&graph->params[i].shape);
    if (graph->params[i].state) continue;
    if (!graph->params[i].trainable) *frozen = true;
    *rate = graph->params[i].rate;
  }
  return count;
}

static void render_shape(co_json *json, const co_shape *shape) {
  co_json_open(json, '[');
  for (int i = 0; i < shape->rank; i++)
    if (shape->dim[i] < 0)
      co_json_null(json); // the batch
    else
      co_json_int(json, shape->dim[i]);
  co_json_close(json);
}

// Names of layers, where layers gave the values, else of the network's inputs.
static void render_inputs(co_json *json, const co_graph *graph, int64_t at) {
  const co_layer_info *layer = &graph->layers[at];
  co_json_open(json, '[');
  for (int64_t i = 0; i < layer->input_count; i++) {
    int64_t from = co_graph_find_layer(graph, layer->inputs[i], at);
    co_json_string(json, from < 0 ? graph->values[layer->inputs[i]].name : graph->layers[from].id);
  }
  co_json_close(json);
}

// What an exporter needs of a layer, beside what the table shows.
static void render_layer(co_json *json, const co_graph *graph, int64_t at) {
  const co_layer_info *layer = &graph->layers[at];
  co_json_key(json, "id");
  co_json_string(json, layer->id);
  co_json_key(json, "options");
  co_layer_render_options(json, layer);
  co_json_key(json, "inputs");
  render_inputs(json, graph, at);
  co_json_key(json, "weights");
  co_json_open(json, '[');
  for (int64_t i = 0; i < layer->weight_count; i++)
    co_json_string(json, graph->params[layer->weights[i]].name);
  co_json_close(json);
  co_json_key(json, "weights_of");
  co_json_string(json, layer->weights_of < 0 ? NULL : graph->layers[layer->weights_of].id);
}

static void report_layers(const planning *p, cohort_result *result) {
  const co_graph *graph = p->model->network;
  co_json *json = &result->json;
  int64_t total = 0;
  co_json_key(json, "layers");
  co_json_open(json, '[');
  co_text_printf(&result->text, "%-32s %-20s %-22s %12s\n", "layer", "class", "result",
                 "parameters");
  for (int64_t i = 0; i < graph->layer_count; i++) {
    const co_layer_info *layer = &graph->layers[i];
    const co_shape *shape = &graph->values[layer->output].desc.shape;
    bool frozen;
    double rate;
    int64_t parameters = layer_parameters(graph, layer->name, &frozen, &rate);
    char text[96];
    co_shape_print(shape, text, sizeof text);
    co_text_pad(&result->text, layer->name, 32, 0, false);
    co_text_printf(&result->text, " %-20s %-22s %12lld%s", layer->class_->name, text,
                   (long long)parameters, frozen ? "  frozen" : "");
    if (!frozen && rate != 1) co_text_printf(&result->text, "  rate x %.3g", rate);
    co_text_printf(&result->text, "\n");
    co_json_open(json, '{');
    co_json_key(json, "name");
    co_json_string(json, layer->name);
    co_json_key(json, "class");
    co_json_string(json, layer->class_->name);
    co_json_key(json, "shape");
    render_shape(json, shape);
    co_json_key(json, "parameters");
    co_json_int(json, parameters);
    co_json_key(json, "trainable");
    co_json_bool(json, !frozen);
    co_json_key(json, "learning_rate_factor");
    co_json_double(json, rate);
    render_layer(json, graph, i);
    co_json_close(json);
  }
  co_json_close(json);
  for (int64_t i = 0; i < graph->param_count; i++)
    total += co_shape_count(&graph->params[i].shape);
  co_json_key(json, "parameters");
  co_json_int(json, total);
  co_text_printf(&result->text, "%-76s %12lld in all\n\n", "", (long long)total);
}

static void report_operation(co_json *json, const co_plan *plan, const co_plan_op *op) {
  const co_op_info *info = co_op_get_info(op->desc.op);
  co_backend *backend = plan->backend;
  size_t bytes = 0, read = 0;
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++) {
    if (op->out[i] != CO_NO_VALUE) bytes += plan->values[op->out[i]].bytes;
    if (op->in[i] != CO_NO_VALUE) read += plan->values[op->in[i]].bytes;
  }
  co_json_open(json, '{');
  co_json_key(json, "layer");
  co_json_string(json, op->layer);
  co_json_key(json, "op");
  co_json_string(json, info->name);
  co_json_key(json, "shape");
  render_shape(json, &op->desc.out[0].shape);
  co_json_key(json, "type");
  co_json_string(json, co_dtype_name(op->desc.out[0].dtype));
  co_json_key(json, "layout");
  co_json_string(json, backend->api->layout_name(backend, op->desc.out[0].layout));
  co_json_key(json, "implementation");
  co_json_string(json, op->choice.implementation);
  co_json_key(json, "bytes");
  co_json_int(json, (int64_t)bytes);
  co_json_key(json, "bytes_read");
  co_json_int(json, (int64_t)read);
  co_json_key(json, "workspace_bytes");
  co_json_int(json, (int64_t)op->choice.workspace);
  co_json_key(json, "flops");
  co_json_int(json, co_op_flops(&op->desc));
  co_json_key(json, "backward");
  co_json_bool(json, op->backward);
  co_json_key(json, "note");
  co_json_string(json, op->note);
  if (op->choice.launches) {
    co_json_key(json, "beside");
    co_json_bool(json, op->beside);
    co_json_key(json, "launches");
    co_json_int(json, op->choice.launches);
    co_json_key(json, "launches_why");
    co_json_string(json, op->choice.why);
    co_json_key(json, "reason");
    co_json_string(json, co_op_get_info(op->desc.op)->why);
    co_json_key(json, "planned");
    co_json_bool(json, op->choice.planned);
  }
  if (op->choice.engine.rank) {
    co_json_key(json, "engine");
    co_json_open(json, '{');
    co_json_key(json, "index");
    co_json_int(json, op->choice.engine.index);
    co_json_key(json, "rank");
    co_json_int(json, op->choice.engine.rank);
    co_json_key(json, "offered");
    co_json_int(json, op->choice.engine.offered);
    co_json_key(json, "tensor_cores");
    co_json_bool(json, op->choice.engine.tensor_cores);
    co_json_close(json);
  }
  if (op->choice.launches) {
    co_json_key(json, "chosen");
    co_json_string(json, co_chosen_name(op->choice.chosen));
  }
  if (op->choice.way) {
    co_json_key(json, "way");
    co_json_string(json, op->choice.way);
  }
  if (op->choice.refused) {
    co_json_key(json, "refused");
    co_json_string(json, op->choice.refused);
  }
  co_json_close(json);
}

// Of the section that prepares the network's inputs on the device.
static bool is_input(const planning *p, const co_plan *plan) {
  return plan->options.mode != CO_MODE_UPDATE && plan->graph != p->model->network;
}

static void report_plans(const planning *p, cohort_result *result) {
  co_json *json = &result->json;
  co_json_key(json, "plans");
  co_json_open(json, '[');
  for (int64_t i = 0;; i++) {
    const co_plan *plan = co_program_plan(p->program, i);
    if (!plan) break;
    co_json_open(json, '{');
    co_json_key(json, "mode");
    co_json_string(json, co_mode_name(plan->options.mode));
    co_json_key(json, "input");
    co_json_bool(json, is_input(p, plan));
    co_json_key(json, "rows");
    co_json_int(json, plan->options.shape.rows);
    co_json_key(json, "arena_bytes");
    co_json_int(json, (int64_t)(plan->arena_bytes + plan->kept_bytes));
    co_json_key(json, "workspace_bytes");
    co_json_int(json, (int64_t)plan->workspace_bytes);
    co_json_key(json, "flops");
    co_json_int(json, plan->flops);
    if (co_plan_launches(plan)) {
      co_json_key(json, "launches");
      co_json_int(json, co_plan_launches(plan));
    }
    co_json_key(json, "operations");
    co_json_open(json, '[');
    for (int64_t k = 0; k < plan->op_count; k++)
      report_operation(json, plan, &plan->ops[k]);
    co_json_close(json);
    co_json_close(json);
    co_text_printf(&result->text, "plan: %s%s, %lld rows, %.1f MFLOP, arena %.2f MiB",
                   co_mode_name(plan->options.mode), is_input(p, plan) ? " input" : "",
                   (long long)plan->options.shape.rows, (double)plan->flops / 1e6,
                   (double)(plan->arena_bytes + plan->kept_bytes) / 1048576);
    if (co_plan_launches(plan))
      co_text_printf(&result->text, ", %lld launches", (long long)co_plan_launches(plan));
    co_text_printf(&result->text, "\n");
    co_plan_print(plan, &result->text);
    co_text_printf(&result->text, "\n");
  }
  co_json_close(json);
}

// Launches (and bytes that operations read and write) of a part of a training step of each phase: forward and backward of a micro-batch (with
// what prepares its inputs), or the update.
static int64_t part_launches(const planning *p, co_mode mode, int64_t rows, bool add,
                             int64_t *bytes) {
  const int64_t phases = p->settings.phases.count ? p->settings.phases.count : 1;
  int64_t launches = 0;
  for (int64_t i = 0;; i++) {
    const co_plan *plan = co_program_plan(p->program, i);
    if (!plan) return launches;
    const co_plan_options *options = &plan->options;
    if (options->mode != mode) continue;
    if (mode == CO_MODE_UPDATE ||
        (options->shape.rows == rows && (is_input(p, plan) || options->add_gradients == add))) {
      launches += (is_input(p, plan) ? phases : 1) * co_plan_launches(plan);
      *bytes += (is_input(p, plan) ? phases : 1) * (int64_t)co_plan_traffic(plan);
    }
  }
}

static int64_t batch_launches(const planning *p) {
  int64_t launches = 0;
  for (int64_t i = 0;; i++) {
    const co_plan *plan = co_program_plan(p->program, i);
    if (!plan) return launches;
    if (plan->options.mode == CO_MODE_INFER &&
        co_shape_class_equal(&plan->options.shape, &p->evaluated))
      launches += co_plan_launches(plan);
  }
}

// What scoring a batch takes of a device with memory of its own.
static void report_scoring(const planning *p, cohort_result *result) {
  const co_staging_layout *staging = co_program_staging(p->program, true);
  int64_t launches = batch_launches(p), back = 0;
  if (!launches || !staging) return;
  for (int64_t i = 0; i < co_model_score_count(p->model); i++)
    back += p->evaluated.rows * co_model_score_width(p->model, i) * (int64_t)sizeof(float);
  const int64_t bytes = (int64_t)co_staging_bytes(staging, &p->evaluated);
  const long long batches = co_program_submission_limit(p->program, true);
  co_json *json = &result->json;
  co_json_key(json, "launches_per_batch");
  co_json_int(json, launches);
  co_json_key(json, "bytes_to_device_per_batch");
  co_json_int(json, bytes);
  co_json_key(json, "bytes_from_device_per_batch");
  co_json_int(json, back);
  co_json_key(json, "batches_per_graph_launch");
  co_json_int(json, batches);
  co_text_printf(&result->text,
                 "launches %lld in a batch of %lld rows (a library call counts as one), whose "
                 "stored values, %lld bytes,\n         are copied to the device at once, and %lld "
                 "bytes of scores back; recorded, so that the host\n         launches up to %lld "
                 "batch%s at once, as one CUDA graph\n\n",
                 (long long)launches, (long long)p->evaluated.rows, (long long)bytes,
                 (long long)back, batches, batches > 1 ? "es" : "");
}

static void report_launches(const planning *p, cohort_result *result) {
  int64_t bytes = 0, launches = part_launches(p, CO_MODE_UPDATE, 0, false, &bytes);
  if (!launches) return;
  for (int64_t first = 0; first < p->step_rows; first += p->rows) {
    int64_t left = p->step_rows - first;
    launches += part_launches(p, CO_MODE_TRAIN, left < p->rows ? left : p->rows, first > 0, &bytes);
  }
  co_json_key(&result->json, "launches_per_step");
  co_json_int(&result->json, launches);
  co_json_key(&result->json, "bytes_per_step");
  co_json_int(&result->json, bytes);
  long long steps = co_program_submission_limit(p->program, false);
  co_json_key(&result->json, "steps_per_graph_launch");
  co_json_int(&result->json, steps);
  co_text_printf(
      &result->text,
      "launches %lld in a training step of %s%lld rows (a library call counts as one), "
      "which read and\n         write %.1f MB; recorded, so that the host launches up to "
      "%lld step%s at once, as one CUDA graph\n\n",
      (long long)launches, p->settings.phases.count ? "each phase, of " : "",
      (long long)p->step_rows, (double)bytes / 1e6, steps, steps > 1 ? "s" : "");
}

// What of the answer is not the device's own.
static void report_device(const planning *p, cohort_result *result) {
  const co_backend_api *api = p->backend->api;
  co_json *json = &result->json;
  co_json_key(json, "device");
  co_json_string(json, api->name);
  if (!api->capability) return;
  char capability[32];
  snprintf(capability, sizeof capability, "%d.%d", api->capability / 10, api->capability % 10);
  co_json_key(json, "compute_capability");
  co_json_string(json, capability);
  co_json_key(json, "planned");
  co_json_bool(json, true);
  co_text_printf(&result->text,
                 "%s, planned for compute capability %s; no device was opened. What cuBLASLt will "
                 "choose\nis assumed, with the most workspace that it may take, and so is room for "
                 "the data set; convolutions\nwithout an engine named were not put to cuDNN, and "
                 "are assumed likewise.\n\n",
                 api->name, capability);
}

static void report_memory(const planning *p, cohort_result *result) {
  co_program_bytes bytes;
  co_program_get_bytes(p->program, &bytes);
  const struct {
    const char *name;
    size_t value;
  } rows[] = {
      {"parameters", bytes.parameters}, {"mirror", bytes.mirror},   {"state", bytes.state},
      {"gradients", bytes.gradients},   {"optimizer", bytes.slots}, {"averages", bytes.averages},
      {"arena", bytes.arena},           {"batches", bytes.batches}, {"total", bytes.total}};
  co_json_key(&result->json, "memory_bytes");
  co_json_open(&result->json, '{');
  co_text_printf(&result->text, "memory\n");
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    co_json_key(&result->json, rows[i].name);
    co_json_int(&result->json, (int64_t)rows[i].value);
    bool mirror = strcmp(rows[i].name, "mirror") == 0;
    if ((mirror || strcmp(rows[i].name, "averages") == 0) && !rows[i].value) continue;
    co_text_printf(&result->text, "  %-12s %14.2f MiB%s", rows[i].name,
                   (double)rows[i].value / 1048576, mirror ? "  (of the parameters, in bf16)" : "");
    if (strcmp(rows[i].name, "arena") == 0)
      co_text_printf(&result->text, "  (activations, and %s%.2f MiB of workspace)",
                     p->backend->api->capability ? "at most " : "",
                     (double)bytes.workspace / 1048576);
    co_text_printf(&result->text, "\n");
  }
  co_json_key(&result->json, "workspace");
  co_json_int(&result->json, (int64_t)bytes.workspace);
  co_json_close(&result->json);
}

// What writing the texts of a batch takes beside the network.
static co_status report_decoding(const planning *p, cohort_result *result) {
  co_json_key(&result->json, "decoding_bytes");
  co_json_open(&result->json, '{');
  for (int64_t i = 0; i < p->model->output_count; i++) {
    const co_output_feature *output = &p->model->outputs[i];
    size_t bytes;
    if (!output->text) continue;
    CO_RETURN_IF_FAILED(co_decoding_bytes(&bytes, p->model, output, co_program_store(p->program),
                                          p->evaluated.rows));
    co_json_key(&result->json, output->name);
    co_json_int(&result->json, (int64_t)bytes);
    co_text_printf(&result->text,
                   "  %-12s %14.2f MiB  (beside the total, while '%s' is written for %lld rows)\n",
                   "decoding", (double)bytes / 1048576, output->name, (long long)p->evaluated.rows);
  }
  co_json_close(&result->json);
  return CO_OK;
}

static co_status plan(planning *p, cohort_result *result) {
  CO_RETURN_IF_FAILED(co_arena_create(&p->arena, p->ctx));
  CO_RETURN_IF_FAILED(read_inputs(p));
  CO_RETURN_IF_FAILED(create_program(p));
  report_device(p, result);
  co_json_key(&result->json, "precision");
  co_json_string(&result->json, co_precision_name(p->settings.precision));
  report_layers(p, result);
  report_plans(p, result);
  p->options->inference ? report_scoring(p, result) : report_launches(p, result);
  report_memory(p, result);
  return report_decoding(p, result);
}

cohort_status cohort_plan(cohort_context *context, const cohort_plan_options *options,
                          cohort_result **out) {
  CO_RETURN_IF_FAILED(co_result_create(out, context));
  planning p = {.ctx = context->ctx, .options = options, .problems = &(*out)->errors};
  co_status status = plan(&p, *out);
  co_program_free(p.program);
  co_resident_free(p.resident);
  if (p.backend) p.backend->api->free(p.backend);
  co_choices_free(p.choices);
  co_model_free(p.model);
  co_dataset_close(p.dataset);
  co_arena_free(p.arena);
  return co_result_finish(*out, "plan", status);
}
