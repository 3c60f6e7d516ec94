// SPDX-License-Identifier: Apache-2.0
// Variational autoencoders (Kingma & Welling 2014): a row becomes a normal distribution over the
// bottleneck's numbers, of which training draws one sample; scoring takes the mean. Trained is the
// evidence lower bound, divided by what makes of its first term the output's own loss.
#include <math.h>
#include <string.h>

#include "host/core/rng.h"
#include "models/builder.h"

static bool is_squared(const co_output_feature *output) {
  return output->loss->pointwise == CO_POINTWISE_SQUARED;
}

static const char *cannot(const co_model *model) {
  const co_output_feature *output = model->outputs;
  if (model->output_count != 1 || !output->reconstructs || output->class_->columns ||
      output->class_ == &co_reconstruction_of_columns)
    return "the only output is the reconstruction of one image or vector";
  return is_squared(output) || output->loss->pointwise == CO_POINTWISE_BINARY
             ? NULL
             : "the loss is mean_squared_error or binary_cross_entropy";
}

co_status co_model_check_variational(co_model_builder *b, const co_node *node,
                                     const co_variational_options *options) {
  static const char *const keys[] = {"deviation", "kl_weight", "kl_warmup_fraction", "kl_cycles"};
  for (int i = 0; !options->is_on && i < 4; i++)
    if (co_node_get(node, keys[i]))
      return co_node_problem(b->problems, co_node_get(node, keys[i]), "add variational: true",
                             "bottleneck.%s: is of a variational bottleneck", keys[i]);
  const char *reason = options->is_on ? cannot(b->model) : NULL;
  if (!reason) return CO_OK;
  return co_node_problem(b->problems, co_node_get(node, "variational"), NULL,
                         "bottleneck.variational: is there where %s", reason);
}

co_status co_model_sample(co_model_builder *b, co_latent *latent) {
  co_model *model = b->model;
  const co_feed feed = {.kind = CO_FEED_NOISE, .purpose = co_purpose("noise", "bottleneck")};
  co_value in[3] = {latent->mean, latent->log_variance};
  CO_RETURN_IF_FAILED(co_model_add_feed(model, "bottleneck.noise", CO_F32,
                                        co_value_shape(model->network, latent->mean), &feed,
                                        &in[2]));
  return co_emit(model->network, CO_OP_SAMPLE_NORMAL, NULL, 3, in, &latent->sample);
}

static co_status add_loss(co_model *model, const co_variational_options *options, double weight,
                          co_value divergence, int32_t *index) {
  co_graph *graph = model->network;
  const co_shape rows = co_shape_make(1, CO_DIM_N);
  co_value row_weight;
  *index = (int32_t)graph->loss_count;
  const co_feed feed = {.kind = CO_FEED_WEIGHT, .loss = *index};
  CO_RETURN_IF_FAILED(
      co_model_add_feed(model, "bottleneck.weight", CO_F32, &rows, &feed, &row_weight));
  CO_RETURN_IF_FAILED(co_loss_emit(graph, co_loss_find("kl_divergence"), NULL, "bottleneck", weight,
                                   divergence, divergence, row_weight));
  graph->losses[*index].warmup_fraction = options->kl_warmup_fraction;
  graph->losses[*index].warmup_cycles = options->kl_warmup_fraction > 0 ? options->kl_cycles : 0;
  return CO_OK;
}

// Images of numbers that are drawn as the divergence would have them.
static co_status add_generator(co_model *model, co_output_feature *output, co_value sample) {
  if (output->reconstructs->column->type != CO_COLUMN_IMAGE) return CO_OK;
  output->generator = co_arena_alloc(model->arena, 1, sizeof *output->generator);
  if (!output->generator) return CO_ERR_MEMORY;
  *output->generator = (co_generator){.of = output->reconstructs,
                                      .noise_size = output->variational->units,
                                      .noise = sample,
                                      .image = model->network->outputs[output->prediction].value};
  return CO_OK;
}

co_status co_model_add_divergence(co_model_builder *b, const co_variational_options *options,
                                  const co_latent *latent) {
  co_model *model = b->model;
  co_graph *graph = model->network;
  co_output_feature *output = model->outputs;
  const co_value in[] = {latent->mean, latent->log_variance};
  co_value divergence;
  co_variational *v = output->variational = co_arena_alloc(model->arena, 1, sizeof *v);
  if (!v) return CO_ERR_MEMORY;
  *v = (co_variational){.deviation = options->deviation,
                        .units = co_value_shape(graph, latent->mean)->dim[1]};
  graph->layer = "combiner/bottleneck";
  CO_RETURN_IF_FAILED(co_emit(graph, CO_OP_KL_NORMAL, NULL, 2, in, &divergence));
  // Of nats in what the output's loss, a mean over the numbers given back, counts a nat.
  const double nat = (is_squared(output) ? 2 * options->deviation * options->deviation : 1) /
                     (double)output->width;
  CO_RETURN_IF_FAILED(add_loss(model, options,
                               output->weight * options->kl_weight * nat * (double)v->units,
                               divergence, &v->loss_index));
  graph->layer = NULL;
  CO_RETURN_IF_FAILED(co_model_add_extra(model, "combiner/kl", NULL, divergence));
  model->extras[model->extra_count - 1].name = "kl";
  return add_generator(model, output, latent->sample);
}

double co_evidence_bound(const co_output_feature *output, double loss, double kl) {
  const double n = (double)output->width, s = output->variational->deviation;
  const double two_pi = 6.283185307179586;
  if (!is_squared(output)) return -(n * loss + kl);
  return -(n * (loss / (2 * s * s) + log(two_pi * s * s) / 2) + kl);
}
