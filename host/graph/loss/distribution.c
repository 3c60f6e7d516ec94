// SPDX-License-Identifier: Apache-2.0
// Likelihoods of numbers: the head gives a distribution's parameters, the prediction is its mean.
#include "host/graph/loss/loss.h"

static co_status zero_inflated_lognormal(const void *options, co_op_attr *attr) {
  (void)options;
  attr->distribution = CO_ZERO_INFLATED_LOGNORMAL;
  return CO_OK;
}

static co_status negative_binomial(const void *options, co_op_attr *attr) {
  (void)options;
  attr->distribution = CO_NEGATIVE_BINOMIAL;
  return CO_OK;
}

static const char *const spending[] = {"ziln", "ZILN", "zero_inflated_lognormal_loss", NULL};
static const char *const counts[] = {"NegativeBinomial", "nb", "neg_binomial", "poisson", NULL};

extern const co_loss_class co_loss_zero_inflated_lognormal, co_loss_negative_binomial;
const co_loss_class co_loss_zero_inflated_lognormal = {
    .name = "zero_inflated_lognormal",
    .doc = "Of spending: nothing with some probability, else lognormal (Wang, Liu, Miao 2019); "
           "predicted is the expected value.",
    .metric = "nll",
    .op = CO_OP_DISTRIBUTION_LOSS,
    .number = true,
    .parameters = 3,
    .attributes = zero_inflated_lognormal,
    .elsewhere = spending};
const co_loss_class co_loss_negative_binomial = {
    .name = "negative_binomial",
    .doc = "Of counts: a Poisson distribution whose mean varies; predicted is the expected value.",
    .metric = "nll",
    .op = CO_OP_DISTRIBUTION_LOSS,
    .number = true,
    .parameters = 2,
    .attributes = negative_binomial,
    .elsewhere = counts};
