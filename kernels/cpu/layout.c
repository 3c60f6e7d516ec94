// SPDX-License-Identifier: Apache-2.0
// The registry of layouts: oneDNN descriptors with ids, one per content.
#include <stdio.h>

#include "kernels/cpu/cpu.h"

const co_cpu_layout *co_cpu_layout_get(co_cpu *cpu, co_layout id) {
  const co_cpu_layout *layout = NULL;
  pthread_mutex_lock(&cpu->mutex);
  if (id > 0 && id <= cpu->layout_count) layout = cpu->layouts[id - 1];
  pthread_mutex_unlock(&cpu->mutex);
  return layout;
}

static int rank_of(co_cpu_view view) {
  return view == CO_VIEW_GROUPED_KERNEL ? 5 : 4;
}

static bool equal_dims(const co_cpu_layout *layout, co_cpu_view view, const int64_t *dims) {
  return layout->view == view &&
         memcmp(layout->dims, dims, (size_t)rank_of(view) * sizeof *dims) == 0;
}

static void canonical_strides(co_cpu_view view, const int64_t *d, int64_t strides[5]) {
  if (view == CO_VIEW_ACTIVATION) { // memory n, h, w, c
    strides[1] = 1;
    strides[3] = d[1];
    strides[2] = d[3] * d[1];
    strides[0] = d[2] * d[3] * d[1];
  } else if (view == CO_VIEW_GROUPED_KERNEL) { // memory h, w, i, g, o
    strides[1] = 1;
    strides[0] = d[1];
    strides[2] = d[0] * d[1];
    strides[4] = d[2] * strides[2];
    strides[3] = d[4] * strides[4];
  } else if (view == CO_VIEW_TRANSPOSED_KERNEL) { // memory h, w, o, i
    strides[1] = 1;
    strides[0] = d[1];
    strides[3] = d[0] * d[1];
    strides[2] = d[3] * strides[3];
  } else { // memory h, w, i, o
    strides[0] = 1;
    strides[1] = d[0];
    strides[3] = d[1] * d[0];
    strides[2] = d[3] * d[1] * d[0];
  }
}

co_status co_cpu_canonical_md(co_cpu_view view, dnnl_data_type_t type, const int64_t *dims,
                              co_md *out) {
  int64_t strides[5];
  canonical_strides(view, dims, strides);
  // The same memory, in the words that oneDNN's kernels for float expect.
  if (view == CO_VIEW_ACTIVATION && type == dnnl_f32 && dims[1] == 1) strides[1] = strides[0];
  return co_md_strided(out, type, rank_of(view), dims, strides);
}

// Strides of dimensions of extent 1 do not matter: (N, 1, H, W) is canonical in either order.
static bool is_canonical(co_cpu_view view, const int64_t *dims, const co_md_form *form) {
  int64_t strides[5];
  canonical_strides(view, dims, strides);
  if (!form->blocked || form->blocks != 0) return false;
  for (int d = 0; d < rank_of(view); d++)
    if (dims[d] != 1 && form->strides[d] != strides[d]) return false;
  return true;
}

// c of n, C/c, h, w, c; 0 for other orders.
static int64_t channel_block(co_cpu_view view, const co_md_form *form) {
  if (view != CO_VIEW_ACTIVATION || !form->blocked) return 0;
  if (form->blocks != 1 || form->block_dim[0] != 1) return 0;
  const int64_t c = form->block_size[0], *p = form->padded, *s = form->strides;
  if (s[3] != c || s[2] != c * p[3] || s[1] != c * p[3] * p[2]) return 0;
  return s[0] == p[1] * p[2] * p[3] ? c : 0;
}

static co_status add(co_cpu *cpu, co_cpu_layout *layout, co_layout *out) {
  void *data = cpu->layouts;
  co_status status =
      co_grow(cpu->base.ctx, &data, &cpu->layout_capacity, cpu->layout_count, sizeof *cpu->layouts);
  cpu->layouts = data;
  if (status != CO_OK) return status;
  cpu->layouts[cpu->layout_count++] = layout;
  *out = (co_layout)cpu->layout_count;
  return CO_OK;
}

static co_layout find(const co_cpu *cpu, co_cpu_view view, const int64_t *dims, co_md_borrowed md) {
  for (int64_t i = 0; i < cpu->layout_count; i++) {
    const co_cpu_layout *l = cpu->layouts[i];
    if (equal_dims(l, view, dims) && co_md_equal(co_md_borrow(&l->md), md))
      return (co_layout)(i + 1);
  }
  return 0;
}

co_status co_cpu_layout_put(co_cpu *cpu, co_cpu_view view, const int64_t *dims, co_md_borrowed md,
                            co_layout *out) {
  co_md_form form;
  co_md_describe(md, &form);
  *out = CO_LAYOUT_CANONICAL;
  if (is_canonical(view, dims, &form)) return CO_OK;

  co_status status = CO_OK;
  co_cpu_layout *layout = NULL;
  pthread_mutex_lock(&cpu->mutex);
  *out = find(cpu, view, dims, md);
  if (*out != 0) goto cleanup;
  layout = co_alloc_zero(cpu->base.ctx, 1, sizeof *layout);
  if (layout == NULL) {
    status = CO_ERR_MEMORY;
    goto cleanup;
  }
  layout->view = view;
  memcpy(layout->dims, dims, (size_t)rank_of(view) * sizeof *dims);
  CO_TRY(co_md_clone(&layout->md, md));
  layout->block = channel_block(view, &form);
  layout->bytes = co_md_bytes(md);
  co_md_name(md, layout->name, sizeof layout->name);
  CO_TRY(add(cpu, layout, out));
  layout = NULL;
cleanup:
  pthread_mutex_unlock(&cpu->mutex);
  if (layout) co_md_free(&layout->md);
  co_free(cpu->base.ctx, layout);
  return status;
}

co_status co_cpu_layout_blocked(co_cpu *cpu, co_cpu_view view, const int64_t *dims, int64_t block,
                                co_layout *out) {
  co_md md = {0};
  co_status status = CO_OK;
  CO_TRY(co_md_channel_blocked(&md, dims, (int)block));
  CO_TRY(co_cpu_layout_put(cpu, view, dims, co_md_borrow(&md), out));
cleanup:
  co_md_free(&md);
  return status;
}

co_status co_cpu_layout_opaque(co_cpu *cpu, const char *name, co_layout of, size_t bytes,
                               co_layout *out) {
  co_status status = CO_OK;
  co_cpu_layout *layout = NULL;
  pthread_mutex_lock(&cpu->mutex);
  for (int64_t i = 0; i < cpu->layout_count; i++) {
    const co_cpu_layout *l = cpu->layouts[i];
    if (l->view == CO_VIEW_OPAQUE && l->bytes == bytes && l->of == of &&
        strcmp(l->name, name) == 0) {
      *out = (co_layout)(i + 1);
      goto cleanup;
    }
  }
  layout = co_alloc_zero(cpu->base.ctx, 1, sizeof *layout);
  if (layout == NULL) {
    status = CO_ERR_MEMORY;
    goto cleanup;
  }
  layout->view = CO_VIEW_OPAQUE;
  layout->of = of;
  layout->bytes = bytes;
  snprintf(layout->name, sizeof layout->name, "%s", name);
  CO_TRY(add(cpu, layout, out));
  layout = NULL;
cleanup:
  pthread_mutex_unlock(&cpu->mutex);
  co_free(cpu->base.ctx, layout);
  return status;
}

co_status co_cpu_operand_md(co_cpu *cpu, co_layout id, co_cpu_view view, dnnl_data_type_t type,
                            const int64_t *dims, co_md *out) {
  if (id == CO_LAYOUT_ANY) return co_md_any(out, type, rank_of(view), dims);
  if (id == CO_LAYOUT_CANONICAL) return co_cpu_canonical_md(view, type, dims, out);
  const co_cpu_layout *layout = co_cpu_layout_get(cpu, id);
  if (layout == NULL || !equal_dims(layout, view, dims))
    return co_fail(CO_ERR_DEVICE, "layout %d does not describe this operand", (int)id);
  return co_md_clone(out, co_md_borrow(&layout->md));
}

size_t co_cpu_layout_bytes(co_cpu *cpu, const co_tensor_desc *desc) {
  const co_cpu_layout *layout = co_cpu_layout_get(cpu, desc->layout);
  return layout ? layout->bytes : co_tensor_bytes(desc);
}

void co_cpu_layouts_free(co_cpu *cpu) {
  for (int64_t i = 0; i < cpu->layout_count; i++) {
    co_md_free(&cpu->layouts[i]->md);
    co_free(cpu->base.ctx, cpu->layouts[i]);
  }
  co_free(cpu->base.ctx, cpu->layouts);
}
