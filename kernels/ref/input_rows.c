// SPDX-License-Identifier: Apache-2.0
#include "kernels/ref/real.h"

#include "host/core/rng.h"

// Where the pixels of one image come from.
typedef struct geometry {
  int64_t H, W, C, down, right;
  bool mirrored;
} geometry;

static int64_t draw_shift(const co_step *step, uint64_t index, const co_op_attr *attr) {
  uint64_t bits = co_random_bits(step->seed, index, step->epoch, attr->crop_purpose);
  return (int64_t)((bits * (uint64_t)(2 * attr->pad + 1)) >> 32) - attr->pad;
}

static geometry draw(const co_op_desc *desc, const co_step *step, int64_t sample) {
  const int64_t *dim = desc->out[0].shape.dim;
  const co_op_attr *attr = &desc->attr;
  const uint64_t id = (uint64_t)sample;
  uint32_t bits = co_random_bits(step->seed, id, step->epoch, attr->purpose);
  return (geometry){.H = dim[1],
                    .W = dim[2],
                    .C = dim[3],
                    .down = draw_shift(step, 2 * id, attr),
                    .right = draw_shift(step, 2 * id + 1, attr),
                    .mirrored = co_uniform_from_bits(bits) < (float)attr->rate};
}

// Index in the stored image of what element i shows, -1 where the crop has vacated it.
static int64_t source(const geometry *g, int64_t i) {
  int64_t c = i % g->C, w = i / g->C % g->W - g->right, h = i / g->C / g->W - g->down;
  if (h < 0 || h >= g->H || w < 0 || w >= g->W) return -1;
  return (h * g->W + (g->mirrored ? g->W - 1 - w : w)) * g->C + c;
}

// Types come from the descriptor, as those of CAST. Rounded where the sequence stores a value.
void CO_REF(input_rows)(const co_op_desc *desc, void *const *in, void *const *out) {
  const co_tensor_desc *y = &desc->out[0];
  const int64_t N = y->shape.dim[0], size = co_row_count(&y->shape);
  const int64_t *index = in[1], *ids = in[2]; // (N) or NULL
  const void *mean = in[4], *scale = in[5];   // (C) or NULL
  const int64_t C = mean != NULL ? desc->in[4].shape.dim[0] : 1;
  const bool single = y->dtype == CO_F32;
  for (int64_t n = 0; n < N; n++) {
    const int64_t first = (index != NULL ? index[n] : n) * size;
    const geometry g = ids != NULL ? draw(desc, in[3], ids[n]) : (geometry){0};
    for (int64_t i = 0; i < size; i++) {
      const int64_t from = ids != NULL ? source(&g, i) : i;
      double value = from < 0 ? desc->attr.fill : co_load(in[0], desc->in[0].dtype, first + from);
      if (single) value = (double)(float)value;
      if (mean != NULL)
        value = (value - co_load(mean, y->dtype, i % C)) * co_load(scale, y->dtype, i % C);
      if (single)
        ((float *)out[0])[n * size + i] = (float)value;
      else
        ((double *)out[0])[n * size + i] = value;
    }
  }
}

#if CO_REF_ONCE
static co_status check_augmentation(const co_op_desc *desc, const co_shape *y) {
  if ((desc->has_in >> 2 & 3) == 0) return CO_OK;
  if ((desc->has_in >> 2 & 3) != 3)
    return co_fail(CO_ERR_INTERNAL, "input_rows: ids and step go together");
  const co_shape rows = co_shape_vector(y->dim[0]);
  CO_RETURN_IF_FAILED(co_check_rank(desc, 0, 4, 4));
  CO_RETURN_IF_FAILED(co_check_shape(desc, 2, &rows));
  CO_RETURN_IF_FAILED(co_check_dtype(desc, 2, CO_I64));
  CO_RETURN_IF_FAILED(co_check_step(desc, 3));
  if (!(desc->attr.rate >= 0 && desc->attr.rate <= 1))
    return co_fail(CO_ERR_CONFIG, "input_rows: rate must be within 0 and 1");
  if (desc->attr.pad < 0 || desc->attr.pad > INT32_MAX / 2)
    return co_fail(CO_ERR_CONFIG, "input_rows: the largest shift must not be negative");
  return CO_OK;
}

static co_status check_statistics(const co_op_desc *desc, const co_shape *y) {
  if ((desc->has_in >> 4 & 3) == 0) return CO_OK;
  if ((desc->has_in >> 4 & 3) != 3)
    return co_fail(CO_ERR_INTERNAL, "input_rows: mean and scale go together");
  co_shape vector = co_shape_vector(y->dim[y->rank - 1]);
  // One mean and scale may serve all channels.
  if (co_shape_count(&desc->in[4].shape) == 1) vector.dim[0] = 1;
  for (int i = 4; i < 6; i++) {
    CO_RETURN_IF_FAILED(co_check_shape(desc, i, &vector));
    CO_RETURN_IF_FAILED(co_check_dtype(desc, i, desc->attr.dtype));
  }
  return CO_OK;
}

co_status co_infer_input_rows(co_op_desc *desc) {
  CO_RETURN_IF_FAILED(co_check_rank(desc, 0, 1, CO_MAX_RANK));
  if (desc->attr.dtype != CO_F32 && desc->attr.dtype != CO_F64)
    return co_fail(CO_ERR_CONFIG, "input_rows: to f32 or f64, not to %s",
                   co_dtype_name(desc->attr.dtype));
  if (desc->in[0].dtype > CO_F64)
    return co_fail(CO_ERR_CONFIG, "input_rows: cannot read %s", co_dtype_name(desc->in[0].dtype));
  co_shape y = desc->in[0].shape;
  if (desc->has_in >> 1 & 1) {
    CO_RETURN_IF_FAILED(co_check_rank(desc, 1, 1, 1));
    CO_RETURN_IF_FAILED(co_check_dtype(desc, 1, CO_I64));
    y.dim[0] = desc->in[1].shape.dim[0];
  }
  CO_RETURN_IF_FAILED(check_augmentation(desc, &y));
  CO_RETURN_IF_FAILED(check_statistics(desc, &y));
  co_set_out(desc, 0, desc->attr.dtype, &y);
  return CO_OK;
}
#endif
