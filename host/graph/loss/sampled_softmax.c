// SPDX-License-Identifier: Apache-2.0
#include "host/graph/loss/loss.h"

static const char *const elsewhere[] = {"sampled_softmax_loss",
                                        "SampledSoftmaxLoss",
                                        "sampled_softmax_cross_entropy",
                                        "nce",
                                        "nce_loss",
                                        NULL};

static const char *const negatives[] = {"frequency", "log_uniform", "uniform", NULL};

static const co_field fields[] = {
    {"num_sampled", CO_FIELD_INT, offsetof(co_sampled_softmax_options, num_sampled), "512", 1,
     1 << 20, NULL, "Classes drawn for each batch, shared by its rows.", "num_negatives"},
    {"negatives", CO_FIELD_ENUM, offsetof(co_sampled_softmax_options, negatives), "frequency", 0, 0,
     negatives,
     "How they are drawn: frequency, as often as the training rows have them, and once more; "
     "log_uniform, by their rank among those (Zipf's law); uniform.",
     "sampler"},
    {.key = NULL}};

extern const co_loss_class co_loss_sampled_softmax;
const co_loss_class co_loss_sampled_softmax = {
    .name = "sampled_softmax",
    .doc = "The same, trained on the true class and a sample of the others, for many classes; "
           "evaluated over all.",
    .metric = "log_loss",
    .op = CO_OP_SOFTMAX_CROSS_ENTROPY,
    .category = true,
    .sampled = true,
    .fields = fields,
    .options_size = sizeof(co_sampled_softmax_options),
    .elsewhere = elsewhere};
