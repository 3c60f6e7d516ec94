// SPDX-License-Identifier: Apache-2.0
// LINEAR_CROSS_ENTROPY: a tile of classes at a time, products by cuBLASLt, what is between them by
// catalogue.cu. A first pass over the tiles knows each row's largest logit and sum of exponentials; a
// second one, from the last tile, whose logits are still there, to the first, makes the gradients. Of x and
// w in bf16 logits are f32, as their slopes are: gradients are made of both widened.
#include <stdio.h>
#include <string.h>

#include "kernels/cuda/cublas_product.h"

enum {
  TILE_LOGITS = 4 << 20, // 16 MiB, which stay in the cache of large devices
  LEAST_CLASSES = 256,   // of a tile; fewer leave much of a device without work
  MOST_CLASSES = 8192,
  UNIT = CO_CUDA_ALIGNMENT / 2, // so that tiles of w begin where w may, in bf16, too
};

enum { LOGITS, DX, DW, PRODUCTS };

typedef struct catalogue {
  co_prepared base;
  co_cuda_product full[PRODUCTS], tail[PRODUCTS]; // of a tile, and of the last where it is smaller
  int64_t N, D, V, T, tiles;                      // T classes a tile
  bool narrow;                                    // x and w are bf16
  size_t logits, rows, sums, x, w, dx, bytes;     // in the workspace, behind that of the products
} catalogue;

enum {
  x_at = CO_LINEAR_CROSS_ENTROPY_x,
  w_at = CO_LINEAR_CROSS_ENTROPY_w,
  b_at = CO_LINEAR_CROSS_ENTROPY_b,
  dx_at = CO_LINEAR_CROSS_ENTROPY_dx,
  dw_at = CO_LINEAR_CROSS_ENTROPY_dw,
  db_at = CO_LINEAR_CROSS_ENTROPY_db
};

static catalogue catalogue_of(const co_op_desc *desc) {
  catalogue c;
  memset(&c, 0, sizeof c);
  c.N = desc->in[x_at].shape.dim[0];
  c.D = desc->in[x_at].shape.dim[1];
  c.V = desc->in[w_at].shape.dim[desc->attr.transposed ? 0 : 1];
  c.narrow = desc->in[x_at].dtype == CO_BF16;
  c.T = TILE_LOGITS / c.N / UNIT * UNIT;
  if (c.T < LEAST_CLASSES) c.T = LEAST_CLASSES;
  if (c.T > MOST_CLASSES) c.T = MOST_CLASSES;
  if (c.T > c.V) c.T = c.V;
  c.tiles = (c.V + c.T - 1) / c.T;
  return c;
}

static int64_t classes_of(const catalogue *c, int64_t tile) {
  return tile + 1 < c->tiles ? c->T : c->V - tile * c->T;
}

static bool differentiates(const co_op_desc *desc) {
  return co_cuda_has_out(desc, dx_at) || co_cuda_has_out(desc, dw_at) ||
         co_cuda_has_out(desc, db_at);
}

static bool makes(const co_op_desc *desc, int product) {
  return product == LOGITS || co_cuda_has_out(desc, product == DX ? dx_at : dw_at);
}

// ---- running -----------------------------------------------------------------------------------

typedef struct pass {
  co_cuda *cuda;
  catalogue *c;
  const co_cuda_call *call;
  float *z;
  void *rows, *sums;
  float *x, *w, *dx; // widened: all of x, a tile of w; the gradient before it is rounded
} pass;

static co_cuda_product *product_of(const pass *p, int64_t tile, int which) {
  const bool tail = classes_of(p->c, tile) < p->c->T;
  return tail ? &p->c->tail[which] : &p->c->full[which];
}

// Where a tile begins in w and its gradient.
static int64_t offset_of(const pass *p, int64_t tile) {
  return tile * p->c->T * (p->call->desc->attr.transposed ? p->c->D : 1);
}
static const void *weights_of(const pass *p, int64_t tile) {
  const size_t element = co_cuda_element(p->call->desc->in[w_at].dtype);
  return (const char *)p->call->in[w_at] + (size_t)offset_of(p, tile) * element;
}

static co_status make_logits(const pass *p, int64_t tile) { // z' = w' x'
  float *b = p->call->in[b_at];
  return co_cuda_product_run(p->cuda, product_of(p, tile, LOGITS), weights_of(p, tile),
                             p->call->in[x_at], p->z, b ? b + tile * p->c->T : NULL, NULL, p->call);
}

static co_status widen_tile(const pass *p, int64_t tile) {
  const bool transposed = p->call->desc->attr.transposed != 0;
  const int64_t count = classes_of(p->c, tile), D = p->c->D;
  return co_cuda_check(p->cuda,
                       co_cuda_widen_rows(p->w, weights_of(p, tile), transposed ? count : D,
                                          transposed ? D : count, transposed ? D : p->c->V,
                                          p->call->stream),
                       "weights of classes");
}

static co_status add_dx(const pass *p, int64_t tile) { // dx' = w z'
  co_cuda_product *product = product_of(p, tile, DX);
  const bool first = tile + 1 == p->c->tiles, narrow = p->c->narrow;
  product->beta = first && (narrow || !co_cuda_accumulates(p->call->desc, dx_at)) ? 0 : 1;
  if (narrow) CO_RETURN_IF_FAILED(widen_tile(p, tile));
  return co_cuda_product_run(p->cuda, product, narrow ? p->w : weights_of(p, tile), p->z,
                             narrow ? p->dx : p->call->out[dx_at], NULL, NULL, p->call);
}

static co_status make_dw(const pass *p, int64_t tile) { // dw' = z' x; of (V, D) dw' = x' z
  const void *x = p->c->narrow ? p->x : p->call->in[x_at];
  const bool transposed = p->call->desc->attr.transposed != 0;
  float *dw = p->call->out[dw_at];
  return co_cuda_product_run(p->cuda, product_of(p, tile, DW), transposed ? x : p->z,
                             transposed ? p->z : x, dw + offset_of(p, tile), NULL, NULL, p->call);
}

static co_status differentiate(const pass *p, int64_t tile) {
  const int64_t first = tile * p->c->T, count = classes_of(p->c, tile);
  float *db = p->call->out[db_at];
  CO_RETURN_IF_FAILED(co_cuda_check(
      p->cuda, co_cuda_catalogue_slopes(p->z, first, count, p->rows, p->call), "slopes of logits"));
  if (p->call->out[dx_at]) CO_RETURN_IF_FAILED(add_dx(p, tile));
  if (p->call->out[dw_at]) CO_RETURN_IF_FAILED(make_dw(p, tile));
  if (db == NULL) return CO_OK;
  return co_cuda_check(p->cuda,
                       co_cuda_column_sum(db + first, p->z, CO_F32, p->c->N, count,
                                          co_cuda_accumulates(p->call->desc, db_at), p->sums,
                                          p->call),
                       "bias gradient");
}

static co_status widen_x(const pass *p) {
  if (!p->c->narrow || p->call->out[dw_at] == NULL) return CO_OK;
  return co_cuda_check(
      p->cuda, co_cuda_widen(p->x, p->call->in[x_at], p->c->N * p->c->D, false, p->call->stream),
      "features of rows");
}

static co_status round_dx(const pass *p) {
  if (!p->c->narrow || p->call->out[dx_at] == NULL) return CO_OK;
  return co_cuda_check(p->cuda,
                       co_cuda_round(p->call->out[dx_at], p->dx, p->c->N * p->c->D,
                                     co_cuda_accumulates(p->call->desc, dx_at), p->call->stream),
                       "gradient of features");
}

static co_status run(co_cuda *cuda, co_prepared *prepared, const co_cuda_call *call) {
  catalogue *c = (catalogue *)prepared;
  char *base = call->workspace;
  const pass p = {.cuda = cuda,
                  .c = c,
                  .call = call,
                  .z = (float *)(base + c->logits),
                  .rows = base + c->rows,
                  .sums = base + c->sums,
                  .x = (float *)(base + c->x),
                  .w = (float *)(base + c->w),
                  .dx = (float *)(base + c->dx)};
  for (int64_t tile = 0; tile < c->tiles; tile++) {
    CO_RETURN_IF_FAILED(make_logits(&p, tile));
    CO_RETURN_IF_FAILED(co_cuda_check(
        cuda, co_cuda_catalogue_statistics(p.z, tile * c->T, classes_of(c, tile), p.rows, call),
        "statistics of logits"));
  }
  if (!differentiates(call->desc)) return CO_OK;
  CO_RETURN_IF_FAILED(widen_x(&p));
  for (int64_t tile = c->tiles - 1; tile >= 0; tile--) {
    if (tile + 1 < c->tiles) CO_RETURN_IF_FAILED(make_logits(&p, tile));
    CO_RETURN_IF_FAILED(differentiate(&p, tile));
  }
  return round_dx(&p);
}

// ---- planning ----------------------------------------------------------------------------------

static void free_products(catalogue *c) {
  for (int i = 0; i < PRODUCTS; i++) {
    co_cuda_product_free(&c->full[i]);
    co_cuda_product_free(&c->tail[i]);
  }
}

static void release(co_cuda *cuda, co_prepared *prepared) {
  (void)cuda;
  free_products((catalogue *)prepared);
}

// Of `count` classes. In w' (V, D) they are rows, in that of a transposed w (D, V) columns.
static co_cuda_product_shape shape_of(const catalogue *c, const co_op_desc *desc, int which,
                                      int64_t count) {
  const bool transposed = desc->attr.transposed != 0, bias = co_cuda_has_in(desc, b_at);
  const int64_t ld = transposed ? c->D : c->V;
  const uint64_t N = (uint64_t)c->N, D = (uint64_t)c->D, classes = (uint64_t)count;
  co_cuda_product_shape s = {.transpose_a = CUBLAS_OP_N,
                             .transpose_b = CUBLAS_OP_N,
                             .epilogue = CUBLASLT_EPILOGUE_DEFAULT,
                             .factors = c->narrow && which == LOGITS ? CUDA_R_16BF : CUDA_R_32F,
                             .result = CUDA_R_32F};
  switch (which) {
  case LOGITS:
    s.m = classes, s.n = N, s.k = D, s.ld_a = ld;
    if (transposed) s.transpose_a = CUBLAS_OP_T;
    if (bias) s.epilogue = CUBLASLT_EPILOGUE_BIAS;
    return s;
  case DX:
    s.m = D, s.n = N, s.k = classes;
    if (!c->narrow) s.ld_a = ld; // of widened weights a tile is a whole matrix
    if (!transposed) s.transpose_a = CUBLAS_OP_T;
    return s;
  default:
    s.m = transposed ? D : classes, s.n = transposed ? classes : D, s.k = N, s.ld_d = ld;
    s.transpose_b = CUBLAS_OP_T;
    s.beta = co_cuda_accumulates(desc, dw_at) ? 1 : 0;
    return s;
  }
}

static co_status create_products(co_cuda *cuda, const co_op_desc *desc, int64_t count,
                                 co_cuda_product *products, catalogue *c) {
  char way[CO_CUDA_WAY];
  for (int which = 0; which < PRODUCTS; which++) {
    if (!makes(desc, which)) continue;
    const co_cuda_product_shape s = shape_of(c, desc, which, count);
    CO_RETURN_IF_FAILED(co_cuda_product_create(cuda, &s, 0, way, &products[which]));
    if (products[which].workspace > c->logits) c->logits = products[which].workspace;
  }
  return CO_OK;
}

static size_t aligned(size_t bytes) {
  return (bytes + CO_CUDA_ALIGNMENT - 1) / CO_CUDA_ALIGNMENT * CO_CUDA_ALIGNMENT;
}

// Of `rows` of D features each.
static size_t widened(const catalogue *c, int64_t rows) {
  return c->narrow ? aligned((size_t)(rows * c->D) * sizeof(float)) : 0;
}

static co_status create(co_cuda *cuda, const co_op_desc *desc, catalogue *c) {
  const int64_t tail = classes_of(c, c->tiles - 1);
  CO_RETURN_IF_FAILED(create_products(cuda, desc, c->T, c->full, c));
  if (tail < c->T) CO_RETURN_IF_FAILED(create_products(cuda, desc, tail, c->tail, c));
  const size_t whole = co_cuda_column_sum_scratch(c->N, c->T);
  const size_t rest = co_cuda_column_sum_scratch(c->N, tail);
  c->logits = aligned(c->logits);
  c->rows = c->logits + aligned((size_t)(c->N * c->T) * sizeof(float));
  c->sums = c->rows + aligned(co_cuda_catalogue_scratch(desc));
  c->x = c->sums;
  if (co_cuda_has_out(desc, db_at)) c->x += aligned(whole > rest ? whole : rest);
  c->w = c->x + widened(c, co_cuda_has_out(desc, dw_at) ? c->N : 0);
  c->dx = c->w + widened(c, co_cuda_has_out(desc, dx_at) ? c->T : 0);
  c->bytes = c->dx + widened(c, co_cuda_has_out(desc, dx_at) ? c->N : 0);
  return CO_OK;
}

static int launches_of(const catalogue *c, const co_op_desc *desc) {
  const int64_t dx = co_cuda_has_out(desc, dx_at), dw = co_cuda_has_out(desc, dw_at);
  const int64_t gradients = 1 + dx + dw + co_cuda_has_out(desc, db_at);
  const int64_t first = 2 * c->tiles, second = c->tiles - 1 + c->tiles * gradients;
  const int64_t narrow = c->narrow ? dw + dx + c->tiles * dx : 0;
  return (int)(first + (differentiates(desc) ? second + narrow : 0));
}

static co_status check_operands(const co_op_desc *desc, co_cuda_answer *answer) {
  const co_dtype data = desc->in[x_at].dtype;
  const int outputs[] = {CO_LINEAR_CROSS_ENTROPY_loss, dw_at, db_at,
                         CO_LINEAR_CROSS_ENTROPY_dscore};
  const int inputs[] = {b_at, CO_LINEAR_CROSS_ENTROPY_weight, CO_LINEAR_CROSS_ENTROPY_score};
  bool fits = (data == CO_F32 || data == CO_BF16) && desc->in[w_at].dtype == data &&
              (!co_cuda_has_out(desc, dx_at) || desc->out[dx_at].dtype == data);
  for (size_t i = 0; i < sizeof outputs / sizeof *outputs; i++)
    fits = fits && (!co_cuda_has_out(desc, outputs[i]) || desc->out[outputs[i]].dtype == CO_F32);
  for (size_t i = 0; i < sizeof inputs / sizeof *inputs; i++)
    fits = fits && (!co_cuda_has_in(desc, inputs[i]) || desc->in[inputs[i]].dtype == CO_F32);
  return fits ? CO_OK : co_cuda_refuse(answer, "f32 only, with x, w and dx in bf16 at most");
}

co_status co_cuda_plan_catalogue(co_cuda *cuda, const co_cuda_impl *impl, const co_op_desc *desc,
                                 co_cuda_answer *answer, co_prepared **out) {
  CO_RETURN_IF_FAILED(check_operands(desc, answer));
  catalogue self = catalogue_of(desc);
  co_prepared *prepared = NULL;
  co_status status = create(cuda, desc, &self);
  answer->choice.workspace = self.bytes;
  answer->choice.launches = launches_of(&self, desc);
  answer->choice.planned = cuda->planning;
  answer->choice.why = "two passes over tiles of classes, each with its products";
  if (status == CO_OK && out)
    status = co_cuda_prepared_create(cuda, impl, desc, sizeof self, &prepared);
  if (prepared == NULL) free_products(&self);
  if (status == CO_ERR_DEVICE) return co_cuda_refuse(answer, "cuBLASLt has no algorithm for it");
  if (status != CO_OK || out == NULL) return status;
  self.base = *prepared;
  self.base.run = run;
  self.base.release = release;
  *(catalogue *)prepared = self;
  *out = prepared;
  return CO_OK;
}
