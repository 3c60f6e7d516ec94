// SPDX-License-Identifier: Apache-2.0
// The list of operations: part of ops.h, which says what each computes. Shared with CUDA sources.
//
// CO_OPS(X) lists X(ENUM, name, inputs, outputs, backward, inference, facts…):
//   inputs/outputs  operands in order, optional ones in parentheses: (x, w, (b)). Their places have
//                   names: in[CO_DENSE_w], out[CO_DENSE_y].
//   backward        rules "OP a b -> c d; …": operands are forward operands (x, w, y, …: saved
//                   until then) or incoming gradients d<output>; results are d<input>. "dy -> da"
//                   without an OP passes the gradient on unchanged. An input that no rule produces
//                   has no gradient. "" = not differentiable (an error if a gradient is needed).
//                   A result in parentheses is left out where nobody needs that gradient or the
//                   input is absent; the others are computed all the same. Optional operands at
//                   the end that a rule leaves out are for passes of the planner to give.
//   inference       "" = the same; else a rule in the same language that replaces the operation in
//                   evaluation and inference plans ("x -> y" = y is x).
//   facts           initialisers of co_op_info, which explains them: .bf16 = "x w b -> y", …
// Reference code lives in kernels/ref/<name>.c and is found by name:
//   co_status co_infer_<name>(co_op_desc *desc)      shapes and dtypes of the outputs from the
//       inputs and attributes, checking both (symbolic N passes through); forward operations only:
//       results of backward rules have the shape and dtype of the operand they belong to.
//   void co_ref_<name>_f32 / _f64(desc, in, out)     plain loops, canonical layouts.
#ifndef COHORT_KERNELS_OPS_LIST_H
#define COHORT_KERNELS_OPS_LIST_H

// clang-format off
#define CO_OPS(X)                                                                                  \
  /* ---- layers ---------------------------------------------------------------------------- */   \
  X(DENSE, dense, (x, w, (b)), (y, (mask)),                                                        \
    "DENSE_BACKWARD_DATA dy w -> dx; DENSE_BACKWARD_WEIGHTS x dy -> dw (db)", "",                  \
    .types = "mask:u8", .bf16 = "x w b -> y", .bf16_or_f32 = "b -> y", .flops = "w*y",             \
    .activation = true)                                                                            \
  X(DENSE_BACKWARD_DATA, dense_backward_data, (dy, w), (dx),                                       \
    "DENSE ddx w -> ddy; DENSE_BACKWARD_WEIGHTS ddx dy -> dw", "",                                 \
    .bf16 = "dy w -> dx", .accumulate = "dx", .flops = "w*dy")                                     \
  X(DENSE_BACKWARD_WEIGHTS, dense_backward_weights, (x, dy), (dw, (db)), "", "",                   \
    .bf16 = "x dy ->", .accumulate = "dw db", .flops = "dw*dy")                                    \
  X(DENSE_RELU_BACKWARD, dense_relu_backward, (dy, w, mask), (dx, (db)), "", "",                   \
    .types = "mask:u8", .bf16 = "dy w -> dx", .bf16_without = "db", .accumulate = "dx db",         \
    .flops = "w*dy")                                                                               \
  X(CONV2D, conv2d, (x, w, (b)), (y),                                                              \
    "CONV2D_BACKWARD_DATA dy w -> dx; CONV2D_BACKWARD_WEIGHTS x dy -> dw (db)", "",                \
    .bf16 = "x w b -> y", .flops = "w*y", .activation = true)                                      \
  X(CONV2D_BACKWARD_DATA, conv2d_backward_data, (dy, w), (dx), "", "",                             \
    .bf16 = "dy w -> dx", .accumulate = "dx", .flops = "w*dy")                                     \
  X(CONV2D_BACKWARD_WEIGHTS, conv2d_backward_weights, (x, dy), (dw, (db)), "", "",                 \
    .bf16 = "x dy -> dw", .bf16_or_f32 = "-> dw", .accumulate = "dw db", .flops = "dw*dy")         \
  X(CONV2D_TRANSPOSE, conv2d_transpose, (x, w, (b)), (y),                                          \
    "CONV2D dy w -> dx; CONV2D_TRANSPOSE_BACKWARD_WEIGHTS x dy -> dw (db)", "",                    \
    .bf16 = "x w b -> y", .flops = "w*x", .activation = true)                                      \
  X(CONV2D_TRANSPOSE_BACKWARD_WEIGHTS, conv2d_transpose_backward_weights, (x, dy), (dw, (db)), "", \
    "", .bf16 = "x dy -> dw", .bf16_or_f32 = "-> dw", .accumulate = "dw db", .flops = "dw*x")      \
  X(MAX_POOL2D, max_pool2d, (x), (y, (argmax)), "MAX_POOL2D_BACKWARD dy argmax -> dx", "",         \
    .types = "argmax:i32", .bf16 = "x -> y", .why = "reads windows of a whole result")             \
  X(MAX_POOL2D_BACKWARD, max_pool2d_backward, (dy, argmax), (dx), "", "",                          \
    .types = "argmax:i32", .bf16 = "dy -> dx", .accumulate = "dx",                                 \
    .why = "spreads gradients over windows")                                                       \
  X(AVERAGE_POOL2D, average_pool2d, (x), (y), "AVERAGE_POOL2D_BACKWARD dy -> dx", "",              \
    .bf16 = "x -> y", .why = "sums windows of a whole result")                                     \
  X(AVERAGE_POOL2D_BACKWARD, average_pool2d_backward, (dy), (dx), "", "",                          \
    .bf16 = "dy -> dx", .accumulate = "dx", .why = "spreads gradients over windows")               \
  X(PAD2D, pad2d, (x), (y), "PAD2D_BACKWARD dy -> dx", "",                                         \
    .bf16 = "x -> y", .why = "an image of another size")                                           \
  X(PAD2D_BACKWARD, pad2d_backward, (dy), (dx), "", "",                                            \
    .bf16 = "dy -> dx", .accumulate = "dx", .why = "an image of another size")                     \
  X(GLOBAL_AVERAGE_POOL2D, global_average_pool2d, (x), (y),                                        \
    "GLOBAL_AVERAGE_POOL2D_BACKWARD dy -> dx", "",                                                 \
    .bf16 = "x -> y", .flops = "x", .why = "sums a whole result")                                  \
  X(GLOBAL_AVERAGE_POOL2D_BACKWARD, global_average_pool2d_backward, (dy), (dx), "", "",            \
    .bf16 = "dy -> dx", .accumulate = "dx", .why = "spreads gradients over images")                \
  X(UPSAMPLE2D, upsample2d, (x), (y), "UPSAMPLE2D_BACKWARD dy -> dx", "",                          \
    .bf16 = "x -> y", .why = "repeats pixels of a whole result")                                   \
  X(UPSAMPLE2D_BACKWARD, upsample2d_backward, (dy), (dx), "", "",                                  \
    .bf16 = "dy -> dx", .accumulate = "dx", .why = "sums pixels of a whole gradient")              \
  X(RELU, relu, (x), (y), "RELU_BACKWARD y dy -> dx", "",                                          \
    .bf16 = "x -> y", .why = "what it follows takes no relu, or others read that too")             \
  X(RELU_BACKWARD, relu_backward, (y, dy), (dx), "", "",                                           \
    .bf16 = "y dy -> dx", .accumulate = "dx",                                                      \
    .why = "the product before it applies no mask; no bias gradient beside it")                    \
  X(RELU_BIAS_BACKWARD, relu_bias_backward, (y, dy), (dx, db), "", "",                             \
    .bf16 = "y dy -> dx", .accumulate = "dx db", .why = "the product before it applies no mask")   \
  X(SIGMOID, sigmoid, (x), (y), "SIGMOID_BACKWARD y dy -> dx", "",                                 \
    .bf16 = "x -> y", .bf16_or_f32 = "-> y", .why = "products apply no sigmoid")                   \
  X(SIGMOID_BACKWARD, sigmoid_backward, (y, dy), (dx), "", "",                                     \
    .bf16 = "y dy -> dx", .accumulate = "dx", .why = "products apply no sigmoid")                  \
  X(TANH, tanh, (x), (y), "TANH_BACKWARD y dy -> dx", "",                                          \
    .bf16 = "x -> y", .why = "products apply no tanh")                                             \
  X(TANH_BACKWARD, tanh_backward, (y, dy), (dx), "", "",                                           \
    .bf16 = "y dy -> dx", .accumulate = "dx", .why = "products apply no tanh")                     \
  X(ACTIVATION, activation, (x), (y), "ACTIVATION_BACKWARD x dy -> dx", "",                        \
    .bf16 = "x -> y", .why = "products apply no such function")                                    \
  X(ACTIVATION_BACKWARD, activation_backward, (x, dy), (dx), "", "",                               \
    .bf16 = "x dy -> dx", .accumulate = "dx", .why = "products apply no such function")            \
  X(BATCH_NORM, batch_norm, (x, gamma, beta, running_mean, running_variance),                      \
    (y, mean, variance, new_mean, new_variance, (argmax)),                                         \
    "BATCH_NORM_BACKWARD x gamma mean variance dy (argmax) -> dx dgamma dbeta",                    \
    "BATCH_NORM_INFERENCE x gamma beta running_mean running_variance -> y",                        \
    .types = "argmax:i32", .bf16 = "x -> y", .activation = true,                                   \
    .may_alias = "new_mean=running_mean new_variance=running_variance",                            \
    .why = "needs sums over the whole batch first")                                                \
  X(BATCH_NORM_BACKWARD, batch_norm_backward, (x, gamma, mean, variance, dy, (argmax), (y)),       \
    (dx, dgamma, dbeta), "", "", .types = "argmax:i32", .bf16 = "x dy y -> dx",                    \
    .accumulate = "dx dgamma dbeta",                                                               \
    .why = "needs sums over the whole batch first")                                                \
  X(BATCH_NORM_INFERENCE, batch_norm_inference, (x, gamma, beta, running_mean, running_variance),  \
    (y), "BATCH_NORM_INFERENCE_BACKWARD dy gamma running_variance -> dx", "",                      \
    .bf16 = "x -> y", .activation = true,                                                          \
    .why = "no f32 product for scoring alone is before it, or others read that too")               \
  X(BATCH_NORM_INFERENCE_BACKWARD, batch_norm_inference_backward, (dy, gamma, running_variance),   \
    (dx), "", "", .bf16 = "dy -> dx", .accumulate = "dx",                                          \
    .why = "not folded into the weights, which training changes")                                  \
  X(FOLD_BATCH_NORM, fold_batch_norm, (w, gamma, beta, running_mean, running_variance, (b)),       \
    (kernel, bias), "", "", .why = "libraries read weights as they lie")                           \
  X(LAYER_NORM, layer_norm, (x, gamma, (beta)), (y, (mean), (inverse)),                            \
    "LAYER_NORM_BACKWARD x gamma (mean) inverse dy -> dx (dgamma) (dbeta)", "",                    \
    .bf16 = "x -> y", .why = "needs sums over whole rows first")                                   \
  X(LAYER_NORM_BACKWARD, layer_norm_backward, (x, gamma, (mean), inverse, dy),                     \
    (dx, (dgamma), (dbeta)), "", "", .bf16 = "x dy -> dx", .accumulate = "dx dgamma dbeta",                                 \
    .why = "needs sums over rows and over columns")                                                \
  X(ADD, add, (a, b), (y), "dy -> da; dy -> db", "",                                               \
    .bf16 = "a b -> y", .accumulate = "y", .activation = true, .may_alias = "y=a",                 \
    .why = "two values meet")                                                                      \
  X(MULTIPLY, multiply, (a, b), (y), "MULTIPLY dy b -> da; MULTIPLY dy a -> db", "",               \
    .bf16 = "a b -> y", .accumulate = "y", .why = "two values meet")                               \
  X(MATMUL, matmul, (a, b), (y), "MATMUL_BACKWARD_A dy b -> da; MATMUL_BACKWARD_B a dy -> db", "", \
    .bf16 = "a b -> y", .accumulate = "y", .flops = "a.b")                                         \
  X(MATMUL_BACKWARD_A, matmul_backward_a, (dy, b), (da), "", "",                                   \
    .bf16 = "dy b -> da", .accumulate = "da", .flops = "dy.b")                                     \
  X(MATMUL_BACKWARD_B, matmul_backward_b, (a, dy), (db), "", "",                                   \
    .bf16 = "a dy -> db", .accumulate = "db", .flops = "a.dy")                                     \
  X(SCALE_CHANNELS, scale_channels, (x, s), (y),                                                   \
    "SCALE_CHANNELS dy s -> dx; SCALE_CHANNELS_BACKWARD x dy -> ds", "",                           \
    .bf16 = "x s -> y", .accumulate = "y", .why = "two values meet")                               \
  X(SCALE_CHANNELS_BACKWARD, scale_channels_backward, (x, dy), (ds), "", "",                       \
    .bf16 = "x dy -> ds", .accumulate = "ds", .flops = "x", .why = "sums a whole gradient")        \
  X(CONCAT, concat,                                                                                \
    (a, b, (c), (d), (e), (f), (g), (h), (i), (j), (k), (l), (m), (n), (o), (p)), (y),             \
    "CONCAT_BACKWARD dy -> (da) (db) (dc) (dd) (de) (df) (dg) (dh) (di) (dj) (dk) (dl) (dm) (dn) " \
    "(do) (dp)", "", .bf16 = "* -> *", .why = "several values meet")                               \
  X(CONCAT_BACKWARD, concat_backward, (dy),                                                        \
    ((da), (db), (dc), (dd), (de), (df), (dg), (dh), (di), (dj), (dk), (dl), (dm), (dn), (do),     \
     (dp)), "", "", .bf16 = "* -> *", .accumulate = "*", .why = "one value parts in several")      \
  X(RESHAPE, reshape, (x), (y), "RESHAPE dy -> dx", "",                                            \
    .types = "x:any y:any", .bf16 = "x -> y", .moves = true, .accumulate = "y",                    \
    .why = "its two sides cannot share memory")                                                    \
  X(DROPOUT, dropout, (x, step), (y), "DROPOUT dy step -> dx", "x -> y",                           \
    .types = "step:u8", .bf16 = "x -> y", .accumulate = "y",                                       \
    .why = "products draw no random numbers")                                                      \
  X(RECURRENT, recurrent, (x, (lengths), kernel, recurrent, bias), (last, (y), (saved)),            \
    "RECURRENT_BACKWARD x (lengths) kernel recurrent saved (dlast) (dy) ->"                        \
    " (dx) dkernel drecurrent dbias", "",                                                          \
    .types = "lengths:i32", .bf16 = "x -> last y", .flops = "x*kernel x*recurrent")                \
  X(RECURRENT_BACKWARD, recurrent_backward,                                                        \
    (x, (lengths), kernel, recurrent, saved, (dlast), (dy)),                                       \
    ((dx), dkernel, drecurrent, dbias), "",                                                        \
    "", .types = "lengths:i32", .bf16 = "x dlast dy -> dx",                                        \
    .accumulate = "dx dkernel drecurrent dbias",                                                   \
    .flops = "x*kernel dx*kernel x*recurrent x*recurrent")                                         \
  X(ATTENTION, attention, (q, k, v, lengths, (bias)), (y, (logsum)),                               \
    "ATTENTION_BACKWARD q k v lengths (bias) y logsum dy -> dq dk dv (dbias)", "",                 \
    .types = "lengths:i32", .bf16 = "q k v -> y", .flops = "q@k q@v",                              \
    .why = "needs all events of a row")                                                            \
  X(ATTENTION_BACKWARD, attention_backward, (q, k, v, lengths, (bias), y, logsum, dy),             \
    (dq, dk, dv, (dbias)), "", "", .types = "lengths:i32", .bf16 = "q k v y dy -> dq dk dv",       \
    .accumulate = "dq dk dv dbias", .flops = "q@k q@k q@k q@v q@v",                                \
    .why = "needs all events of a row")                                                            \
  X(POOL_EVENTS, pool_events, (x, lengths), (y), "POOL_EVENTS_BACKWARD lengths dy -> dx", "",      \
    .types = "lengths:i32", .bf16 = "x -> y", .why = "goes through the events of each row")        \
  X(POOL_EVENTS_BACKWARD, pool_events_backward, (lengths, dy), (dx),                               \
    "POOL_EVENTS ddx lengths -> ddy", "",                                                          \
    .types = "lengths:i32", .bf16 = "dy -> dx", .accumulate = "dx",                                \
    .why = "goes through the events of each row")                                                  \
  X(MAX_EVENTS, max_events, (x, lengths), (y), "MAX_EVENTS_BACKWARD x lengths dy -> dx", "",       \
    .types = "lengths:i32", .bf16 = "x -> y", .why = "goes through the events of each row")        \
  X(MAX_EVENTS_BACKWARD, max_events_backward, (x, lengths, dy), (dx), "", "",                      \
    .types = "lengths:i32", .bf16 = "x dy -> dx", .accumulate = "dx",                              \
    .why = "goes through the events of each row")                                                  \
  X(UNFOLD_EVENTS, unfold_events, (x, lengths), (y), "UNFOLD_EVENTS_BACKWARD lengths dy -> dx",    \
    "", .types = "lengths:i32", .bf16 = "x -> y", .why = "picks neighbours of each event")         \
  X(UNFOLD_EVENTS_BACKWARD, unfold_events_backward, (lengths, dy), (dx), "", "",                   \
    .types = "lengths:i32", .bf16 = "dy -> dx", .accumulate = "dx",                                \
    .why = "adds what the neighbours of each event got")                                           \
  X(REVERSE_EVENTS, reverse_events, (x, (lengths)), (y), "REVERSE_EVENTS dy (lengths) -> dx", "",  \
    .types = "lengths:i32", .bf16 = "x -> y", .accumulate = "y", .why = "turns each row around")   \
  X(COPY_EVENTS, copy_events, (x, score, codes, lengths), (y),                                     \
    "COPY_EVENTS_BACKWARD x score codes lengths y dy -> (dx) (dscore)", "",                        \
    .types = "codes:i32 lengths:i32", .flops = "y", .why = "goes through the events of each row")  \
  X(COPY_EVENTS_BACKWARD, copy_events_backward, (x, score, codes, lengths, y, dy),                 \
    ((dx), (dscore)), "", "", .types = "codes:i32 lengths:i32", .accumulate = "dx dscore",         \
    .flops = "y", .why = "goes through the events of each row")                                    \
  X(SAMPLE_CLASSES, sample_classes, (bounds, step), (classes, shift), "", "",                      \
    .types = "bounds:i32 step:u8 classes:i32", .why = "draws random numbers")                      \
  X(SAMPLED_LOGITS, sampled_logits, (x, own, z, target, classes, shift), (y),                      \
    "SAMPLED_LOGITS_BACKWARD x own target classes dy -> dx down dz", "",                           \
    .types = "target:i32 classes:i32", .flops = "x y", .why = "products of a row and its own")     \
  X(SAMPLED_LOGITS_BACKWARD, sampled_logits_backward, (x, own, target, classes, dy),               \
    (dx, down, dz), "", "", .types = "target:i32 classes:i32", .accumulate = "dx down dz",         \
    .why = "products of a row and its own")                                                        \
  X(EMBEDDING, embedding,                                                                          \
    (index, table, (index2), (table2), (index3), (table3), (index4), (table4), (index5), (table5), \
     (index6), (table6), (index7), (table7), (index8), (table8)),                                  \
    (y, (y2), (y3), (y4), (y5), (y6), (y7), (y8)),                                                 \
    "EMBEDDING_BACKWARD index dy (index2) (dy2) (index3) (dy3) (index4) (dy4) (index5) (dy5)"      \
    " (index6) (dy6) (index7) (dy7) (index8) (dy8) ->"                                             \
    " dtable (dtable2) (dtable3) (dtable4) (dtable5) (dtable6) (dtable7) (dtable8)", "",           \
    .types = "index:i32 index2:i32 index3:i32 index4:i32 index5:i32 index6:i32 index7:i32 "        \
             "index8:i32",                                                                         \
    .bf16 = "-> *", .bf16_each = true, .why = "picks rows of tables")                              \
  X(EMBEDDING_BACKWARD, embedding_backward,                                                        \
    (index, dy, (index2), (dy2), (index3), (dy3), (index4), (dy4), (index5), (dy5), (index6),      \
     (dy6), (index7), (dy7), (index8), (dy8)),                                                     \
    (dtable, (dtable2), (dtable3), (dtable4), (dtable5), (dtable6), (dtable7), (dtable8)), "", "", \
    .types = "index:i32 index2:i32 index3:i32 index4:i32 index5:i32 index6:i32 index7:i32 "        \
             "index8:i32",                                                                         \
    .bf16 = "dy dy2 dy3 dy4 dy5 dy6 dy7 dy8 ->", .accumulate = "*",                                \
    .flops = "dy dy2 dy3 dy4 dy5 dy6 dy7 dy8", .why = "brings gradients of equal rows together")   \
  X(PIECEWISE_DENSE, piecewise_dense, (x, w, b), (y),                                              \
    "PIECEWISE_DENSE_BACKWARD x w dy -> (dx) dw db", "", .bf16 = "-> y", .bf16_each = true,        \
    .activation = true, .why = "picks rows of sums of weights")                                    \
  X(PIECEWISE_DENSE_BACKWARD, piecewise_dense_backward, (x, w, dy), ((dx), dw, db), "", "",        \
    .bf16 = "dy ->", .accumulate = "dx dw db", .flops = "dy",                                      \
    .why = "brings gradients of equal bins together")                                              \
  X(PERIODIC, periodic, (x, w), (y), "PERIODIC_BACKWARD x w dy -> (dx) dw", "",                    \
    .flops = "y", .why = "makes many features of a number")                                        \
  X(PERIODIC_BACKWARD, periodic_backward, (x, w, dy), ((dx), dw), "", "", .accumulate = "dx dw",   \
    .flops = "dy", .why = "sums over rows and over features")                                      \
  X(FACTORIZATION, factorization, (x, v), (y, (sums)),                                             \
    "FACTORIZATION_BACKWARD x v sums dy -> (dx) dv", "",                                           \
    .bf16 = "x -> y", .why = "sums over pairs of features")                                        \
  X(FACTORIZATION_BACKWARD, factorization_backward, (x, v, sums, dy), ((dx), dv), "", "",          \
    .bf16 = "x dy -> dx", .accumulate = "dx dv", .why = "sums over pairs of features")             \
  X(MEMBER_SCALE, member_scale, (x, r), (y), "MEMBER_SCALE_BACKWARD x r dy -> (dx) dr", "",        \
    .bf16 = "x -> y", .why = "one row becomes several")                                            \
  X(MEMBER_SCALE_BACKWARD, member_scale_backward, (x, r, dy), ((dx), dr), "", "",                  \
    .bf16 = "x dy -> dx", .accumulate = "dx dr", .why = "several rows become one")                 \
  X(MEMBER_DENSE, member_dense, (x, w, b), (y), "MEMBER_DENSE_BACKWARD x w dy -> (dx) dw db", "",  \
    .bf16 = "x -> y", .why = "small products, one for each member")                                \
  X(MEMBER_DENSE_BACKWARD, member_dense_backward, (x, w, dy), ((dx), dw, db), "", "",              \
    .bf16 = "x dy -> dx", .accumulate = "dx dw db", .why = "small products, one for each member")  \
  X(MEMBER_MEAN, member_mean, (x), (y), "", "",                                                    \
    .bf16 = "x ->", .follows = true, .why = "several rows become one")                             \
  X(REPEAT, repeat, (x), (y), "", "",                                                              \
    .types = "x:any y:any", .why = "targets of several members")                                   \
  X(COLUMN_LOSS, column_loss, (x, target, columns), (y),                                           \
    "COLUMN_LOSS_BACKWARD x target columns dy -> dx", "",                                          \
    .types = "columns:i32", .why = "goes through the columns of each row")                         \
  X(COLUMN_LOSS_BACKWARD, column_loss_backward, (x, target, columns, dy), (dx), "", "",            \
    .types = "columns:i32", .accumulate = "dx", .why = "goes through the columns of each row")     \
  X(SWAP_NOISE, swap_noise, (x, step), (y), "", "x -> y",                                          \
    .types = "x:any step:u8 y:any", .why = "values of other rows")                                 \
  X(INDEX_DROPOUT, index_dropout, (x, step), (y), "", "x -> y",                                    \
    .types = "x:i32 step:u8 y:i32", .why = "whoever reads the indices finds them dropped")         \
  X(MIX_ROWS, mix_rows, (x, step), (y), "", "x -> y",                                              \
    .types = "step:u8", .bf16 = "x -> y", .why = "values of other rows")                           \
  X(SAMPLE_NORMAL, sample_normal, (mean, log_variance, noise), (y),                                \
    "dy -> dmean; SAMPLE_NORMAL_BACKWARD log_variance noise dy -> dlog_variance", "mean -> y",     \
    .why = "two values meet, with noise")                                                          \
  X(SAMPLE_NORMAL_BACKWARD, sample_normal_backward, (log_variance, noise, dy), (dlog_variance),    \
    "", "", .accumulate = "dlog_variance", .why = "two values meet, with noise")                   \
  X(KL_NORMAL, kl_normal, (mean, log_variance), (y),                                               \
    "KL_NORMAL_BACKWARD mean log_variance dy -> dmean dlog_variance", "",                          \
    .why = "two values meet")                                                                      \
  X(KL_NORMAL_BACKWARD, kl_normal_backward, (mean, log_variance, dy), (dmean, dlog_variance), "",  \
    "", .accumulate = "dmean dlog_variance", .why = "two values meet")                             \
  X(SOFTMAX, softmax, (x), (y), "", "",                                                            \
    .bf16 = "x ->", .follows = true, .why = "needs whole rows of a result")                        \
  X(ARG_MAX, arg_max, (x, (allowed)), (y), "", "",                                                 \
    .types = "allowed:u8 y:i32", .bf16 = "x ->", .follows = true,                                  \
    .why = "needs whole rows of a result")                                                         \
  X(MASKED_SOFTMAX, masked_softmax, (x, (lengths)), (y),                                           \
    "MASKED_SOFTMAX_BACKWARD y dy (lengths) -> dx", "",                                            \
    .types = "lengths:i32", .bf16 = "x -> y", .why = "needs whole rows of a result")               \
  X(MASKED_SOFTMAX_BACKWARD, masked_softmax_backward, (y, dy, (lengths)), (dx), "", "",            \
    .types = "lengths:i32", .bf16 = "y dy -> dx", .accumulate = "dx",                              \
    .why = "sums over whole rows")                                                                 \
  /* ---- losses and metrics ---------------------------------------------------------------- */   \
  X(SOFTMAX_CROSS_ENTROPY, softmax_cross_entropy, (x, target, weight, step),                       \
    (loss, sum, dx, (hits)), "", "", .types = "target:i32 step:u8 sum:f64 hits:f64",               \
    .bf16 = "x -> dx", .follows = true, .accumulate = "sum dx hits",                               \
    .why = "needs whole rows; makes loss and gradient")                                            \
  X(LINEAR_CROSS_ENTROPY, linear_cross_entropy,                                                    \
    (x, w, (b), target, weight, step, (score), (codes), (lengths)),                                \
    (loss, sum, (dx), (dw), (db), (hits), (dscore)), "", "",                                       \
    .types = "target:i32 step:u8 codes:i32 lengths:i32 sum:f64 hits:f64", .bf16 = "x w -> dx",     \
    .accumulate = "sum dx dw db hits dscore", .flops = "x*w x*w dx*w x*dw")                        \
  X(POINTWISE_LOSS, pointwise_loss, (x, target, weight, step), (loss, sum, dx), "", "",            \
    .types = "step:u8 sum:f64", .bf16 = "x -> dx", .follows = true, .accumulate = "sum dx",        \
    .why = "needs whole rows; makes loss and gradient")                                            \
  X(DISTRIBUTION_LOSS, distribution_loss, (x, target, weight, step), (loss, sum, dx), "", "",      \
    .types = "step:u8 sum:f64", .accumulate = "sum dx",                                            \
    .why = "needs whole rows; makes loss and gradient")                                            \
  X(DISTRIBUTION_MEAN, distribution_mean, (x), (y), "", "",                                        \
    .why = "needs whole rows of a result")                                                         \
  X(ROW_MEANS, row_means, (x, weight), (sums), "", "",                                             \
    .types = "sums:f64", .accumulate = "sums", .why = "a metric beside the loss")                  \
  X(CATEGORICAL_HITS, categorical_hits, (x, target, weight), (sums), "", "",                       \
    .types = "target:i32 sums:f64", .bf16 = "x ->", .follows = true, .accumulate = "sums",         \
    .why = "a metric beside the loss")                                                             \
  /* ---- input section --------------------------------------------------------------------- */   \
  X(GATHER, gather, (table, index), (y), "", "",                                                   \
    .types = "table:any index:any y:any", .bf16 = "table -> y", .moves = true, .follows = true,    \
    .input = true, .why = "brings the rows together")                                              \
  X(GATHER_EVENTS, gather_events, (table, begin, lengths), (y), "", "",                            \
    .types = "table:any begin:i64 lengths:i32 y:any", .bf16 = "table -> y", .moves = true,         \
    .follows = true, .input = true, .why = "brings the events together")                           \
  X(LOOKUP, lookup, (x, map), (y), "", "",                                                         \
    .types = "x:i32 map:i32 y:i32", .input = true,                                                 \
    .why = "from stored categories to rows of a table")                                            \
  X(CAST, cast, (x), (y), "", "",                                                                  \
    .types = "x:any", .bf16 = "x -> y", .bf16_each = true, .moves = true, .typed = true,           \
    .input = true, .why = "from stored bytes to numbers")                                          \
  X(IMPUTE, impute, (x, fill), (y, (flags)), "", "",                                               \
    .input = true, .why = "of the inputs, with fitted values")                                     \
  X(NORMALIZE, normalize, (x, mean, scale), (y), "", "",                                           \
    .bf16 = "x -> y", .bf16_each = true, .input = true,                                            \
    .why = "of the inputs, with fitted statistics")                                                \
  X(PIECEWISE_LINEAR, piecewise_linear, (x, edges), (y), "", "",                                   \
    .input = true, .why = "of the inputs, with fitted edges")                                      \
  X(FLIP, flip, (x, ids, step), (y), "", "x -> y",                                                 \
    .types = "ids:i64 step:u8", .bf16 = "x -> y", .bf16_each = true, .input = true,                \
    .why = "augmentation")                                                                         \
  X(SHIFTED_CROP, shifted_crop, (x, ids, step), (y), "", "x -> y",                                 \
    .types = "ids:i64 step:u8", .bf16 = "x -> y", .bf16_each = true, .input = true,                \
    .why = "augmentation")                                                                         \
  X(AUGMENT, augment, (x, ids, step), (y), "", "x -> y",                                           \
    .types = "ids:i64 step:u8", .bf16 = "x -> y", .bf16_each = true, .input = true,                \
    .why = "augmentation")                                                                         \
  X(INPUT_ROWS, input_rows, (table, (index), (ids), (step), (mean), (scale)), (y), "", "",         \
    .types = "table:any index:i64 ids:i64 step:u8", .bf16 = "-> y", .bf16_each = true,             \
    .typed = true, .input = true, .why = "brings the rows together, as numbers")                   \
  /* ---- parameters ------------------------------------------------------------------------ */   \
  X(GRADIENT_NORM, gradient_norm, (g, segments, (before), (narrow)), (sum, (gate)), "", "",        \
    .types = "segments:u8 before:f64 narrow:bf16 sum:f64 gate:f64", .bf16 = "narrow ->",           \
    .bf16_each = true, .moves = true, .accumulate = "sum",                                         \
    .accumulate_without = "gate", .why = "needs every gradient")                                   \
  X(SGD, sgd, (w, g, (m), segments, step, gate, (narrow)), (new_w, (new_m), (mirror)), "", "",     \
    .types = "segments:u8 step:u8 gate:f64 narrow:bf16 mirror:bf16", .bf16 = "narrow -> mirror",   \
    .bf16_each = true, .moves = true, .is_alias = "new_w=w new_m=m",                               \
    .why = "needs the whole norm; one for all parameters")                                         \
  X(ADAM, adam, (w, g, m, v, segments, step, gate, (narrow)), (new_w, new_m, new_v, (mirror)), "", \
    "", .types = "segments:u8 step:u8 gate:f64 narrow:bf16 mirror:bf16",                           \
    .bf16 = "narrow -> mirror", .bf16_each = true, .moves = true,                                  \
    .is_alias = "new_w=w new_m=m new_v=v",                                                         \
    .why = "needs the whole norm; one for all parameters")                                         \
  X(EMA, ema, (w, ema, segments, step, gate), (new_ema), "", "",                                   \
    .types = "segments:u8 step:u8 gate:f64", .is_alias = "new_ema=ema",                            \
    .why = "follows the update; one for all parameters")                                           \
  X(RMSPROP, rmsprop, (w, g, v, (m), segments, step, gate, (narrow)),                              \
    (new_w, new_v, (new_m), (mirror)), "", "",                                                     \
    .types = "segments:u8 step:u8 gate:f64 narrow:bf16 mirror:bf16", .bf16 = "narrow -> mirror",   \
    .bf16_each = true, .moves = true, .is_alias = "new_w=w new_v=v new_m=m",                       \
    .why = "needs the whole norm; one for all parameters")                                         \
  X(APPEND_ROWS, append_rows, (index, dy, ids, rows, count), (new_ids, new_rows, new_count), "",   \
    "", .types = "index:i32 ids:i32 count:i32 new_ids:i32 new_count:i32", .bf16 = "dy ->",         \
    .bf16_each = true, .is_alias = "new_ids=ids new_rows=rows new_count=count",                    \
    .why = "keeps gradients of rows until the update")                                             \
  X(SUM_ROWS, sum_rows, (ids, rows, count), (unique, sums), "", "",                                \
    .types = "ids:i32 count:i32 unique:i32", .why = "brings gradients of equal rows together")     \
  X(SGD_ROWS, sgd_rows, (w, ids, g, step, gate), (new_w), "", "",                                  \
    .types = "ids:i32 step:u8 gate:f64", .is_alias = "new_w=w", .why = "needs the whole norm")     \
  X(ADAM_ROWS, adam_rows, (w, m, v, steps, ids, g, step, gate), (new_w, new_m, new_v, new_steps),  \
    "", "", .types = "steps:i32 ids:i32 step:u8 gate:f64 new_steps:i32",                           \
    .is_alias = "new_w=w new_m=m new_v=v new_steps=steps", .why = "needs the whole norm")          \
  /* ---- plumbing -------------------------------------------------------------------------- */   \
  X(REORDER, reorder, (x), (y), "", "",                                                            \
    .types = "x:any y:any", .bf16 = "x -> y", .moves = true,                                       \
    .why = "its neighbours want different layouts")
// clang-format on

#endif
