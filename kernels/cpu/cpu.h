// SPDX-License-Identifier: Apache-2.0
// Inside the CPU backend: its state, layouts, and how an implementation of an operation is
// written. An implementation is a row of a table; simple ones (our own loops) give a run function
// and masks, the others (oneDNN) a plan function that chooses layouts and builds what run needs.
#ifndef COHORT_KERNELS_CPU_CPU_H
#define COHORT_KERNELS_CPU_CPU_H

#include <pthread.h>
#include <string.h>
#ifdef _OPENMP
#include <omp.h>
#endif

#include "kernels/backend.h"
#include "kernels/bf16.h"
#include "kernels/cpu/dnnl_api.h"

typedef struct co_cpu co_cpu;

// ---- layouts -----------------------------------------------------------------------------------

// Which logical tensor a oneDNN descriptor describes; oneDNN counts dimensions in another order.
typedef enum co_cpu_view {
  CO_VIEW_ACTIVATION,        // logical (N, H, W, C), oneDNN (N, C, H, W)
  CO_VIEW_KERNEL,            // logical (KH, KW, I, O), oneDNN (O, I, KH, KW); a dense kernel over a
                             // flattened (H, W, C) is the case (H, W, C, O)
  CO_VIEW_GROUPED_KERNEL,    // logical (KH, KW, I / G, O), oneDNN (G, O / G, I / G, KH, KW)
  CO_VIEW_TRANSPOSED_KERNEL, // logical (KH, KW, O, I), oneDNN (O, I, KH, KW)
  CO_VIEW_OPAQUE             // bytes that only the operation itself understands
} co_cpu_view;

typedef struct co_cpu_layout {
  co_cpu_view view;
  int64_t dims[5]; // in oneDNN's order
  co_md md;        // none if opaque
  int64_t block;   // activations: c where the order is n, C/c, h, w, c; else 0
  co_layout of;    // opaque: the layout of the tensor it goes with
  size_t bytes;
  char name[48];
} co_cpu_layout;

// NULL for canonical, ANY and ids that were never given out. Borrowed until backend free.
const co_cpu_layout *co_cpu_layout_get(co_cpu *cpu, co_layout id);
// The id of a layout, new or known; 0 where the descriptor is the canonical order.
co_status co_cpu_layout_put(co_cpu *cpu, co_cpu_view view, const int64_t *dims, co_md_borrowed md,
                            co_layout *out);
// nChw<block>c and its like for kernels (dimension 1 is blocked in both views).
co_status co_cpu_layout_blocked(co_cpu *cpu, co_cpu_view view, const int64_t *dims, int64_t block,
                                co_layout *out);
co_status co_cpu_layout_opaque(co_cpu *cpu, const char *name, co_layout of, size_t bytes,
                               co_layout *out);
// The descriptor of the canonical order under a view.
co_status co_cpu_canonical_md(co_cpu_view view, dnnl_data_type_t type, const int64_t *dims,
                              co_md *out);
// The descriptor of an operand as it lies (ANY: free). CO_ERR_DEVICE if its layout is of another
// view or other dimensions; `type` is of the others, layouts with ids are f32.
co_status co_cpu_operand_md(co_cpu *cpu, co_layout layout, co_cpu_view view, dnnl_data_type_t type,
                            const int64_t *dims, co_md *out);
size_t co_cpu_layout_bytes(co_cpu *cpu, const co_tensor_desc *desc);
void co_cpu_layouts_free(co_cpu *cpu);

// ---- state -------------------------------------------------------------------------------------

typedef enum co_isa { CO_ISA_PORTABLE, CO_ISA_AVX2, CO_ISA_AVX512, CO_ISA_COUNT } co_isa;

struct co_cpu {
  co_backend base; // first
  int threads;
  char *force;
  co_isa isa;
  co_dnnl dnnl;
  pthread_mutex_t mutex; // over what follows
  co_cpu_layout **layouts;
  int64_t layout_count, layout_capacity; // id = index + 1
  char **strings;
  int64_t string_count, string_capacity;
};

// A copy that lives as long as the backend, one per content. NULL if out of memory.
const char *co_cpu_intern(co_cpu *cpu, const char *text);

// ---- implementations ---------------------------------------------------------------------------

typedef struct co_cpu_impl co_cpu_impl;

typedef struct co_cpu_answer {
  co_op_choice choice; // implementation interned; refused unused
  char reason[160];    // why not
  bool accumulate;     // refused only because of desc->accumulate
} co_cpu_answer;

struct co_prepared {
  const co_cpu_impl *impl;
  const char *implementation;
  co_op_desc desc;
  co_status (*run)(co_cpu *cpu, co_prepared *prepared, void *const *in, void *const *out,
                   void *workspace);
  void (*release)(co_cpu *cpu, co_prepared *prepared); // frees what it holds, not itself; or NULL
};

typedef co_status co_cpu_run(co_cpu *cpu, co_prepared *prepared, void *const *in, void *const *out,
                             void *workspace);

struct co_cpu_impl {
  co_op op;
  const char *name; // "omp", "dnnl", "ref"
  // CO_OK: accepted; answer->choice is filled, and *out made if out is not NULL. CO_ERR_DEVICE
  // through co_cpu_refuse: not by this implementation. Anything else: a failure. With `strict`
  // the layouts of desc are all concrete and must be kept.
  co_status (*plan)(co_cpu *cpu, const co_cpu_impl *impl, const co_op_desc *desc, bool strict,
                    co_cpu_answer *answer, co_prepared **out);
  int variant; // for plan
  // Simple implementations (plan == co_cpu_plan_simple):
  co_cpu_run *run;
  size_t (*workspace)(co_cpu *cpu, const co_op_desc *desc); // layouts concrete; or NULL
  uint32_t f32_in, f32_out;                                 // operands that must be f32 if present
  uint32_t same_in, same_out; // operands that share one layout, whichever it is; others canonical
  uint32_t accumulate;        // outputs that can be added to
  bool channels;              // the shared layout must be one that co_cpu_tiles describes
  bool (*accepts)(const co_op_desc *desc, co_cpu_answer *answer); // further conditions, or NULL
};

co_status co_cpu_plan_simple(co_cpu *cpu, const co_cpu_impl *impl, const co_op_desc *desc,
                             bool strict, co_cpu_answer *answer, co_prepared **out);
co_status co_cpu_refuse(co_cpu_answer *answer, const char *format, ...) CO_PRINTF(2, 3);
// Allocates `size` bytes that start with a co_prepared, zeroed but for its base.
co_status co_cpu_prepared_create(co_cpu *cpu, const co_cpu_impl *impl, const co_op_desc *desc,
                                 const char *implementation, size_t size, co_cpu_run *run,
                                 co_prepared **out);

// Tables of implementations, one per file; each ends with a row of name NULL. The order of rows of
// one operation is the order of preference, the files' order is in backend.c.
extern const co_cpu_impl co_cpu_vector[], co_cpu_weights[], co_cpu_dense[], co_cpu_conv2d[],
    co_cpu_reorder[], co_cpu_elementwise[], co_cpu_channelwise[], co_cpu_pool[], co_cpu_embedding[],
    co_cpu_piecewise[], co_cpu_periodic[], co_cpu_loss[], co_cpu_input[], co_cpu_recurrent[],
    co_cpu_attention[], co_cpu_copy_events[], co_cpu_events[], co_cpu_rowwise[], co_cpu_images[],
    co_cpu_optimizer[], co_cpu_rows[], co_cpu_bf16[], co_cpu_catalogue[], co_cpu_matmul[];

// ---- bf16 --------------------------------------------------------------------------------------

// The implementation of any operation on bf16 data by one in float: "omp+bf16".
extern const co_cpu_impl co_cpu_widened;
// The i-th implementation of an operation, the reference last; NULL at the end.
const co_cpu_impl *co_cpu_implementation(co_op op, int i);
bool co_cpu_all_canonical(const co_op_desc *desc);
bool co_cpu_any_bf16(const co_op_desc *desc);
static inline dnnl_data_type_t co_cpu_dnnl_type(co_dtype dtype) {
  return dtype == CO_BF16 ? dnnl_bf16 : dnnl_f32;
}
// Arrays to float and back, by the calling thread alone.
void co_cpu_widen(const co_cpu *cpu, float *to, const co_bf16 *from, int64_t count);
void co_cpu_round(const co_cpu *cpu, co_bf16 *to, const float *from, int64_t count);
// By all threads; `cpu` is a co_cpu.
void co_cpu_widen_all(const void *cpu, float *to, const co_bf16 *from, int64_t count);

// What SGD (`m` may be NULL) and ADAM do to n elements that have a rate and a decay in common, each with
// its factors; gate is the clip factor. By one thread.
typedef struct co_cpu_update {
  const co_op_attr *attr;
  double gate, rate, decay, correction1, correction2;
} co_cpu_update;
void co_cpu_sgd(const co_cpu *cpu, const co_cpu_update *update, float *w, const float *g, float *m,
                int64_t n);
void co_cpu_adam(const co_cpu *cpu, const co_cpu_update *update, float *w, const float *g, float *m,
                 float *v, int64_t n);

// ---- threads -----------------------------------------------------------------------------------

// That OpenMP gives as many threads as the backend has. oneDNN shares out the work of some operations
// before it knows how many threads there are; with fewer it waits for the others for ever.
// CO_ERR_DEVICE: a limit stands against it; CO_ERR_MEMORY: the system cannot create them.
co_status co_cpu_check_threads(const co_cpu *cpu, bool create);

// oneDNN and OpenMP take the number of threads from the calling thread's settings, and a thread has
// them from the environment when it starts: neither may OpenMP give fewer threads where the machine is
// busy (OMP_DYNAMIC) nor none but the caller (OMP_MAX_ACTIVE_LEVELS=0).
static inline void co_cpu_enter(const co_cpu *cpu) {
#ifdef _OPENMP
  if (omp_get_dynamic()) omp_set_dynamic(0);
  if (omp_get_max_active_levels() < 1) omp_set_max_active_levels(1);
  if (omp_get_max_threads() != cpu->threads) omp_set_num_threads(cpu->threads);
#else
  (void)cpu;
#endif
}

static inline int co_cpu_part(void) {
#ifdef _OPENMP
  return omp_get_thread_num();
#else
  return 0;
#endif
}

static inline int co_cpu_parts(void) {
#ifdef _OPENMP
  return omp_get_num_threads();
#else
  return 1;
#endif
}

// This thread's share [begin, end) of n elements, cut at multiples of `grain`.
static inline void co_cpu_share(int64_t n, int64_t grain, int64_t *begin, int64_t *end) {
  int64_t grains = (n + grain - 1) / grain, parts = co_cpu_parts(), part = co_cpu_part();
  int64_t b = grains * part / parts * grain, e = grains * (part + 1) / parts * grain;
  *begin = b < n ? b : n;
  *end = e < n ? e : n;
}

// Below this many elements a parallel region costs more than it gives.
enum { CO_CPU_SERIAL = 16384 };

// ---- instruction sets --------------------------------------------------------------------------

// Defines `name`, an array of the same loop compiled for every instruction set; call it as
// name[cpu->isa](…). Use: CO_CPU_KERNEL(add, (const float *a, float *y, int64_t n), (a, y, n)) {…}.
// A table rather than target_clones: those need ifunc, which sanitizers and static linking dislike.
#if defined(__x86_64__) && defined(__GNUC__)
#define CO_CPU_X86 1
#define CO_CPU_TARGET_AVX512                                                                       \
  __attribute__((                                                                                  \
      target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,bmi2,prefer-vector-width=512")))
#define CO_CPU_TARGET_AVX2 __attribute__((target("avx2,fma")))
#else
#define CO_CPU_X86 0
#define CO_CPU_TARGET_AVX512
#define CO_CPU_TARGET_AVX2
#endif
#define CO_CPU_INLINE static inline __attribute__((always_inline))
#define CO_CPU_KERNEL(name, parameters, arguments)                                                 \
  CO_CPU_INLINE void name##_body parameters;                                                       \
  static void name##_portable parameters {                                                         \
    name##_body arguments;                                                                         \
  }                                                                                                \
  CO_CPU_TARGET_AVX2 static void name##_avx2 parameters {                                          \
    name##_body arguments;                                                                         \
  }                                                                                                \
  CO_CPU_TARGET_AVX512 static void name##_avx512 parameters {                                      \
    name##_body arguments;                                                                         \
  }                                                                                                \
  static void(*const name[CO_ISA_COUNT])                                                           \
      parameters = {name##_portable, name##_avx2, name##_avx512};                                  \
  CO_CPU_INLINE void name##_body parameters

// ---- vectors -----------------------------------------------------------------------------------

// Sixteen lanes as gcc's vector types. Values have the types without _at, which lie as vectors must;
// in tensors they lie as their elements do and are reached as *(const co_lanes16_at *)p only. A
// value declared with the lesser alignment is kept so, yet moved as if it had the greater one.
typedef float co_lanes16 __attribute__((vector_size(64)));
typedef int32_t co_mask16 __attribute__((vector_size(64)));
typedef uint16_t co_words16 __attribute__((vector_size(32)));
typedef uint8_t co_bytes16 __attribute__((vector_size(16)));
typedef co_lanes16 co_lanes16_at __attribute__((aligned(4), may_alias));
typedef co_mask16 co_mask16_at __attribute__((aligned(4), may_alias));
typedef co_bytes16 co_bytes16_at __attribute__((aligned(1), may_alias));

// ---- channels ----------------------------------------------------------------------------------

// A tensor as tiles of channels: element (row r = outer * inner + s, channel lane l of tile t) lies
// at outer * stride_outer + s * stride_inner + t * stride_tile + l. Rows are cut into chunks of
// whole outers in a way that does not depend on the thread count; sums are formed per chunk, then
// over chunks in order.
typedef struct co_cpu_tiles {
  int64_t outer, inner, stride_outer, stride_inner, stride_tile;
  int64_t tiles, width;    // lanes per tile
  int64_t channels;        // logical; lanes beyond are padding (blocked) or absent (canonical)
  int64_t chunks, chunk;   // chunk outers each, the last maybe fewer
  int64_t padded_channels; // tiles * width
  bool blocked;
  bool large; // worth several threads
} co_cpu_tiles;
// False if the layout is not of this kind.
bool co_cpu_tiles_of(co_cpu *cpu, const co_tensor_desc *desc, co_cpu_tiles *out);
// db (channels) (+)= sum over rows of dy; scratch: co_cpu_column_sum_bytes.
size_t co_cpu_column_sum_bytes(const co_cpu_tiles *tiles);
void co_cpu_column_sum(co_cpu *cpu, const co_cpu_tiles *tiles, const float *dy, float *db,
                       bool accumulate, void *scratch);

static inline bool co_cpu_has_in(const co_op_desc *desc, int i) {
  return (desc->has_in >> i & 1) != 0;
}
static inline bool co_cpu_has_out(const co_op_desc *desc, int i) {
  return (desc->has_out >> i & 1) != 0;
}
// What an element that DROPOUT keeps is multiplied by.
static inline float co_cpu_dropout_scale(const co_op_desc *desc) {
  return (float)(1 / (1 - desc->attr.rate));
}
static inline bool co_cpu_accumulates(const co_op_desc *desc, int i) {
  return (desc->accumulate >> i & 1) != 0;
}

#endif
