// SPDX-License-Identifier: Apache-2.0
// Why an operation is there by itself and not part of its neighbour.
#include "host/plan/plan.h"

// Products are what others are fused into; they need no reason.
static const char *const reasons[CO_OP_COUNT] = {
    [CO_OP_MAX_POOL2D] = "reads windows of a whole result",
    [CO_OP_MAX_POOL2D_BACKWARD] = "spreads gradients over windows",
    [CO_OP_GLOBAL_AVERAGE_POOL2D] = "sums a whole result",
    [CO_OP_GLOBAL_AVERAGE_POOL2D_BACKWARD] = "spreads gradients over images",
    [CO_OP_RELU] = "what it follows takes no relu, or others read that too",
    [CO_OP_RELU_BACKWARD] = "the product before it applies no mask; no bias gradient beside it",
    [CO_OP_RELU_BIAS_BACKWARD] = "the product before it applies no mask",
    [CO_OP_BATCH_NORM] = "needs sums over the whole batch first",
    [CO_OP_BATCH_NORM_BACKWARD] = "needs sums over the whole batch first",
    [CO_OP_BATCH_NORM_INFERENCE] = "not folded into the weights, which training changes",
    [CO_OP_ADD] = "two values meet",
    [CO_OP_CONCAT] = "two values meet",
    [CO_OP_CONCAT_BACKWARD] = "one value parts in two",
    [CO_OP_RESHAPE] = "its two sides cannot share memory",
    [CO_OP_DROPOUT] = "products draw no random numbers",
    [CO_OP_EMBEDDING] = "picks rows of a table",
    [CO_OP_EMBEDDING_BACKWARD] = "brings gradients of equal rows together",
    [CO_OP_SOFTMAX] = "needs whole rows of a result",
    [CO_OP_SOFTMAX_CROSS_ENTROPY] = "needs whole rows; makes loss and gradient",
    [CO_OP_MEAN_SQUARED_ERROR] = "needs whole rows; makes loss and gradient",
    [CO_OP_CATEGORICAL_HITS] = "a metric beside the loss",
    [CO_OP_GATHER] = "brings the rows together",
    [CO_OP_LOOKUP] = "from stored categories to rows of a table",
    [CO_OP_CAST] = "from stored bytes to numbers",
    [CO_OP_IMPUTE] = "of the inputs, with fitted values",
    [CO_OP_NORMALIZE] = "of the inputs, with fitted statistics",
    [CO_OP_FLIP] = "augmentation",
    [CO_OP_SHIFTED_CROP] = "augmentation",
    [CO_OP_INPUT_ROWS] = "brings the rows together, as numbers",
    [CO_OP_GRADIENT_NORM] = "needs every gradient",
    [CO_OP_SGD] = "needs the whole norm; one for all parameters",
    [CO_OP_ADAM] = "needs the whole norm; one for all parameters",
    [CO_OP_REORDER] = "its neighbours want different layouts",
};

const char *co_plan_reason(const co_plan_op *op) {
  return reasons[op->desc.op];
}
