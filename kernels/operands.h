// SPDX-License-Identifier: Apache-2.0
// Lists of operands, such as (x, w, (b)), for the preprocessor: as text, and as names of places.
// Optional operands stand in parentheses of their own. Common subset of C11 and C++17.
#ifndef COHORT_KERNELS_OPERANDS_H
#define COHORT_KERNELS_OPERANDS_H

#define CO_OPERANDS_MOST 16

// (x, w, (b)) to "x, w, (b)".
#define CO_OPERANDS_TEXT(list) CO_OPERANDS_TEXT_ list
#define CO_OPERANDS_TEXT_(...) #__VA_ARGS__

// (x, w, (b)) to CO_DENSE_x, CO_DENSE_w, CO_DENSE_b, for an enum, with the prefix CO_DENSE_.
#define CO_OPERAND_PLACES(prefix, list) CO_PLACES_OF(prefix, CO_PLACES_OPEN list)
#define CO_PLACES_OPEN(...) __VA_ARGS__
#define CO_PLACES_OF(prefix, ...)                                                                  \
  CO_PLACES_PICK(__VA_ARGS__, CO_PLACES_16, CO_PLACES_15, CO_PLACES_14, CO_PLACES_13,              \
                 CO_PLACES_12, CO_PLACES_11, CO_PLACES_10, CO_PLACES_9, CO_PLACES_8, CO_PLACES_7,  \
                 CO_PLACES_6, CO_PLACES_5, CO_PLACES_4, CO_PLACES_3, CO_PLACES_2, CO_PLACES_1, )   \
  (prefix, __VA_ARGS__)
// The macro for as many operands as there are.
#define CO_PLACES_PICK(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, macro, ...) macro

#define CO_PLACES_1(prefix, operand) CO_PLACE(prefix, operand),
#define CO_PLACES_2(prefix, operand, ...)                                                          \
  CO_PLACES_1(prefix, operand) CO_PLACES_1(prefix, __VA_ARGS__)
#define CO_PLACES_3(prefix, operand, ...)                                                          \
  CO_PLACES_1(prefix, operand) CO_PLACES_2(prefix, __VA_ARGS__)
#define CO_PLACES_4(prefix, operand, ...)                                                          \
  CO_PLACES_1(prefix, operand) CO_PLACES_3(prefix, __VA_ARGS__)
#define CO_PLACES_5(prefix, operand, ...)                                                          \
  CO_PLACES_1(prefix, operand) CO_PLACES_4(prefix, __VA_ARGS__)
#define CO_PLACES_6(prefix, operand, ...)                                                          \
  CO_PLACES_1(prefix, operand) CO_PLACES_5(prefix, __VA_ARGS__)
#define CO_PLACES_7(prefix, operand, ...)                                                          \
  CO_PLACES_1(prefix, operand) CO_PLACES_6(prefix, __VA_ARGS__)
#define CO_PLACES_8(prefix, operand, ...)                                                          \
  CO_PLACES_1(prefix, operand) CO_PLACES_7(prefix, __VA_ARGS__)
#define CO_PLACES_9(prefix, operand, ...)                                                          \
  CO_PLACES_1(prefix, operand) CO_PLACES_8(prefix, __VA_ARGS__)
#define CO_PLACES_10(prefix, operand, ...)                                                         \
  CO_PLACES_1(prefix, operand) CO_PLACES_9(prefix, __VA_ARGS__)
#define CO_PLACES_11(prefix, operand, ...)                                                         \
  CO_PLACES_1(prefix, operand) CO_PLACES_10(prefix, __VA_ARGS__)
#define CO_PLACES_12(prefix, operand, ...)                                                         \
  CO_PLACES_1(prefix, operand) CO_PLACES_11(prefix, __VA_ARGS__)
#define CO_PLACES_13(prefix, operand, ...)                                                         \
  CO_PLACES_1(prefix, operand) CO_PLACES_12(prefix, __VA_ARGS__)
#define CO_PLACES_14(prefix, operand, ...)                                                         \
  CO_PLACES_1(prefix, operand) CO_PLACES_13(prefix, __VA_ARGS__)
#define CO_PLACES_15(prefix, operand, ...)                                                         \
  CO_PLACES_1(prefix, operand) CO_PLACES_14(prefix, __VA_ARGS__)
#define CO_PLACES_16(prefix, operand, ...)                                                         \
  CO_PLACES_1(prefix, operand) CO_PLACES_15(prefix, __VA_ARGS__)

// The prefix before the operand's name: x as it is, (b) without its parentheses.
#define CO_PLACE(prefix, operand) CO_PLACE_JOIN(prefix, CO_PLACE_BARE(operand))
#define CO_PLACE_JOIN(prefix, name) CO_PLACE_JOIN_(prefix, name)
#define CO_PLACE_JOIN_(prefix, name) prefix##name
// STRIP meets parentheses and leaves "STRIP b", or none and stays; either way it is in front, and
// joined to a word that stands for nothing.
#define CO_PLACE_BARE(operand) CO_PLACE_DROP(CO_PLACE_STRIP operand)
#define CO_PLACE_STRIP(name) CO_PLACE_STRIP name
#define CO_PLACE_DROP(words) CO_PLACE_DROP_(words)
#define CO_PLACE_DROP_(words) CO_PLACE_NOTHING_##words
#define CO_PLACE_NOTHING_CO_PLACE_STRIP

#endif
