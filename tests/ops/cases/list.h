// SPDX-License-Identifier: Apache-2.0
// The families of operations under test; one file of this folder each, except where files hold
// several kin.
#ifndef COHORT_TESTS_OPS_CASES_LIST_H
#define COHORT_TESTS_OPS_CASES_LIST_H

#define OPS_FAMILIES(F)                                                                            \
  F(dense)                                                                                         \
  F(dense_relu_backward)                                                                           \
  F(conv2d)                                                                                        \
  F(max_pool2d)                                                                                    \
  F(global_average_pool2d)                                                                         \
  F(relu)                                                                                          \
  F(relu_bias_backward)                                                                            \
  F(batch_norm)                                                                                    \
  F(batch_norm_inference)                                                                          \
  F(add)                                                                                           \
  F(concat)                                                                                        \
  F(concat_backward)                                                                               \
  F(reshape)                                                                                       \
  F(dropout)                                                                                       \
  F(embedding)                                                                                     \
  F(softmax)                                                                                       \
  F(softmax_cross_entropy)                                                                         \
  F(mean_squared_error)                                                                            \
  F(categorical_hits)                                                                              \
  F(gather)                                                                                        \
  F(lookup)                                                                                        \
  F(cast)                                                                                          \
  F(impute)                                                                                        \
  F(normalize)                                                                                     \
  F(flip)                                                                                          \
  F(shifted_crop)                                                                                  \
  F(input_rows)                                                                                    \
  F(gradient_norm)                                                                                 \
  F(sgd)                                                                                           \
  F(adam)                                                                                          \
  F(reorder)

#define F(name) extern const struct ops_family ops_##name;
OPS_FAMILIES(F)
#undef F

#endif
