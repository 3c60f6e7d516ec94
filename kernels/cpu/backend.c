// SPDX-License-Identifier: Apache-2.0
// The CPU backend: choice among implementations, and memory.
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>

#include "kernels/cpu/cpu.h"
#include "kernels/ref/ref.h"

// ---- the reference as the last implementation --------------------------------------------------

static co_status run_reference(co_cpu *cpu, co_prepared *prepared, void *const *in,
                               void *const *out, void *workspace) {
  (void)cpu;
  return co_ref_run_in(&prepared->desc, in, out, workspace);
}

bool co_cpu_all_canonical(const co_op_desc *desc) {
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++) {
    if (co_cpu_has_in(desc, i) && desc->in[i].layout != CO_LAYOUT_CANONICAL) return false;
    if (co_cpu_has_out(desc, i) && desc->out[i].layout != CO_LAYOUT_CANONICAL) return false;
  }
  return true;
}

bool co_cpu_any_bf16(const co_op_desc *desc) {
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++) {
    if (co_cpu_has_in(desc, i) && desc->in[i].dtype == CO_BF16) return true;
    if (co_cpu_has_out(desc, i) && desc->out[i].dtype == CO_BF16) return true;
  }
  return false;
}

static co_status plan_reference(co_cpu *cpu, const co_cpu_impl *impl, const co_op_desc *desc,
                                bool strict, co_cpu_answer *answer, co_prepared **out) {
  if (strict && !co_cpu_all_canonical(desc))
    return co_cpu_refuse(answer, "takes canonical layouts only");
  co_status status = co_ref_query(desc, &answer->choice);
  if (status == CO_ERR_DEVICE) {
    answer->accumulate = desc->accumulate != 0;
    return co_cpu_refuse(answer, "%s", co_error_last()->message);
  }
  if (status != CO_OK) return status;
  if (out == NULL) return CO_OK;
  return co_cpu_prepared_create(cpu, impl, desc, answer->choice.implementation, sizeof(co_prepared),
                                run_reference, out);
}

// ---- choice ------------------------------------------------------------------------------------

static const co_cpu_impl reference = {.name = "ref", .plan = plan_reference};

const co_cpu_impl *co_cpu_implementation(co_op op, int i) {
  const co_cpu_impl *const tables[] = {
      co_cpu_vector,    co_cpu_weights,   co_cpu_dense,       co_cpu_conv2d,
      co_cpu_bf16,      co_cpu_pool,      co_cpu_elementwise, co_cpu_channelwise,
      co_cpu_embedding, co_cpu_piecewise, co_cpu_periodic,    co_cpu_loss,
      co_cpu_input,     co_cpu_recurrent, co_cpu_attention,   co_cpu_copy_events,
      co_cpu_events,    co_cpu_rowwise,   co_cpu_images,      co_cpu_optimizer,
      co_cpu_rows,      co_cpu_catalogue, co_cpu_matmul,      co_cpu_reorder};
  for (size_t t = 0; t < sizeof tables / sizeof *tables; t++)
    for (const co_cpu_impl *impl = tables[t]; impl->name != NULL; impl++)
      if (impl->op == op && i-- == 0) return impl;
  if (i == 0) return &co_cpu_widened;
  return i == 1 ? &reference : NULL;
}

co_status co_cpu_refuse(co_cpu_answer *answer, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(answer->reason, sizeof answer->reason, format, arguments);
  va_end(arguments);
  return CO_ERR_DEVICE;
}

static void set_layouts(co_op_desc *desc, const co_op_choice *choice) {
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++) {
    if (co_cpu_has_in(desc, i)) desc->in[i].layout = choice->in[i];
    if (co_cpu_has_out(desc, i)) desc->out[i].layout = choice->out[i];
  }
}

static bool forced(const co_cpu *cpu, const char *name) {
  return cpu->force == NULL || strncmp(name, cpu->force, strlen(cpu->force)) == 0;
}

// Asks one implementation; the answer it gives is asked again as facts, so that prepare, which
// only knows the facts, comes to the same implementation and workspace.
static co_status ask(co_cpu *cpu, const co_cpu_impl *impl, const co_op_desc *desc,
                     co_cpu_answer *answer) {
  memset(answer, 0, sizeof *answer);
  CO_RETURN_IF_FAILED(impl->plan(cpu, impl, desc, false, answer, NULL));
  co_op_desc facts = *desc;
  set_layouts(&facts, &answer->choice);
  memset(answer, 0, sizeof *answer);
  return impl->plan(cpu, impl, &facts, true, answer, NULL);
}

static co_status choose(co_cpu *cpu, const co_op_desc *desc, bool use_force, co_cpu_answer *answer,
                        co_text *refused) {
  for (int i = 0;; i++) {
    const co_cpu_impl *impl = co_cpu_implementation(desc->op, i);
    if (impl == NULL) return CO_ERR_DEVICE;
    co_status status = ask(cpu, impl, desc, answer);
    if (status != CO_OK && status != CO_ERR_DEVICE) return status;
    if (status == CO_OK && use_force && !forced(cpu, answer->choice.implementation)) {
      status = CO_ERR_DEVICE;
      snprintf(answer->reason, sizeof answer->reason, "not forced");
    }
    if (status == CO_OK) return CO_OK;
    if (answer->reason[0])
      co_text_printf(refused, "%s%s: %s", refused->length ? "; " : "", impl->name, answer->reason);
    // Rather a temporary and an addition than a slower implementation.
    if (answer->accumulate) return CO_ERR_DEVICE;
  }
}

static co_status query(co_backend *backend, const co_op_desc *desc, co_op_choice *out) {
  co_cpu *cpu = (co_cpu *)backend;
  co_cpu_answer answer;
  co_text refused;
  co_cpu_enter(cpu);
  memset(out, 0, sizeof *out);
  co_text_init(&refused, backend->ctx);
  co_status status = choose(cpu, desc, cpu->force != NULL, &answer, &refused);
  if (status == CO_ERR_DEVICE && cpu->force != NULL && !answer.accumulate) {
    co_text_free(&refused);
    co_text_init(&refused, backend->ctx);
    status = choose(cpu, desc, false, &answer, &refused);
  }
  if (status == CO_OK) status = refused.status;
  const char *name = co_op_get_info(desc->op)->name;
  if (status == CO_OK) {
    *out = answer.choice;
    if (refused.length > 0) {
      out->refused = co_cpu_intern(cpu, refused.data);
      if (out->refused == NULL) status = CO_ERR_MEMORY;
    }
    co_log(backend->ctx, CO_LOG_TRACE, "choice", "op=%s implementation=%s", name,
           out->implementation);
    if (out->refused) co_log(backend->ctx, CO_LOG_TRACE, "refused", "%s: %s", name, out->refused);
  } else if (status == CO_ERR_DEVICE) {
    status = co_fail(CO_ERR_DEVICE, "cpu: %s: %s", name,
                     refused.length > 0 ? refused.data : "no implementation");
  }
  co_text_free(&refused);
  return status;
}

static co_status prepare_by(co_cpu *cpu, const co_op_desc *desc, bool use_force, char *reason,
                            size_t size, co_prepared **out) {
  for (int i = 0;; i++) {
    const co_cpu_impl *impl = co_cpu_implementation(desc->op, i);
    if (impl == NULL) return CO_ERR_DEVICE;
    co_cpu_answer answer;
    memset(&answer, 0, sizeof answer);
    co_status status = impl->plan(cpu, impl, desc, true, &answer, NULL);
    if (status == CO_OK && use_force && !forced(cpu, answer.choice.implementation)) continue;
    if (status == CO_OK) return impl->plan(cpu, impl, desc, true, &answer, out);
    if (status != CO_ERR_DEVICE) return status;
    snprintf(reason, size, "%s", answer.reason);
    if (answer.accumulate) return CO_ERR_DEVICE;
  }
}

static co_status prepare(co_backend *backend, const co_op_desc *desc, co_prepared **out) {
  co_cpu *cpu = (co_cpu *)backend;
  char reason[160] = "";
  *out = NULL;
  co_cpu_enter(cpu);
  co_status status = prepare_by(cpu, desc, cpu->force != NULL, reason, sizeof reason, out);
  if (status == CO_ERR_DEVICE && cpu->force != NULL)
    status = prepare_by(cpu, desc, false, reason, sizeof reason, out);
  if (status == CO_ERR_DEVICE)
    return co_fail(CO_ERR_DEVICE, "cpu: %s cannot be prepared with these layouts: %s",
                   co_op_get_info(desc->op)->name, reason);
  return status;
}

co_status co_cpu_prepared_create(co_cpu *cpu, const co_cpu_impl *impl, const co_op_desc *desc,
                                 const char *implementation_name, size_t size, co_cpu_run *run,
                                 co_prepared **out) {
  co_prepared *prepared = co_alloc_zero(cpu->base.ctx, 1, size);
  if (prepared == NULL) return CO_ERR_MEMORY;
  prepared->impl = impl;
  prepared->implementation = implementation_name;
  prepared->desc = *desc;
  prepared->run = run;
  *out = prepared;
  return CO_OK;
}

static void release(co_backend *backend, co_prepared *prepared) {
  if (prepared == NULL) return;
  if (prepared->release) prepared->release((co_cpu *)backend, prepared);
  co_free(backend->ctx, prepared);
}

static co_status run(co_backend *backend, co_prepared *prepared, void *const *in, void *const *out,
                     void *workspace) {
  co_cpu_enter((co_cpu *)backend);
  return prepared->run((co_cpu *)backend, prepared, in, out, workspace);
}

// ---- simple implementations --------------------------------------------------------------------

static bool all_f32(const co_op_desc *desc, const co_cpu_impl *impl) {
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++) {
    if (co_cpu_has_in(desc, i) && (impl->f32_in >> i & 1) && desc->in[i].dtype != CO_F32)
      return false;
    if (co_cpu_has_out(desc, i) && (impl->f32_out >> i & 1) && desc->out[i].dtype != CO_F32)
      return false;
  }
  return true;
}

// The layout that the shared operands get: what a fact of them has (an unusual one first: it came
// from a convolution, and others will follow it), else canonical.
static co_layout shared_layout(const co_op_desc *desc, const co_cpu_impl *impl) {
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++)
    if (co_cpu_has_in(desc, i) && (impl->same_in >> i & 1) && desc->in[i].layout > 0)
      return desc->in[i].layout;
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++)
    if (co_cpu_has_out(desc, i) && (impl->same_out >> i & 1) && desc->out[i].layout > 0)
      return desc->out[i].layout;
  return CO_LAYOUT_CANONICAL;
}

co_status co_cpu_plan_simple(co_cpu *cpu, const co_cpu_impl *impl, const co_op_desc *desc,
                             bool strict, co_cpu_answer *answer, co_prepared **out) {
  if (!all_f32(desc, impl)) return co_cpu_refuse(answer, "f32 only");
  if (impl->accepts && !impl->accepts(desc, answer)) return CO_ERR_DEVICE;
  if (desc->accumulate & desc->has_out & ~impl->accumulate) {
    answer->accumulate = true;
    return co_cpu_refuse(answer, "cannot accumulate");
  }
  co_op_desc facts = *desc;
  co_layout shared = shared_layout(desc, impl);
  co_cpu_tiles tiles;
  if (impl->channels && shared != CO_LAYOUT_CANONICAL) {
    co_tensor_desc x = desc->in[0];
    x.layout = shared;
    if (!co_cpu_tiles_of(cpu, &x, &tiles)) shared = CO_LAYOUT_CANONICAL;
  }
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++) {
    if (co_cpu_has_in(desc, i))
      facts.in[i].layout = impl->same_in >> i & 1 ? shared : CO_LAYOUT_CANONICAL;
    if (co_cpu_has_out(desc, i))
      facts.out[i].layout = impl->same_out >> i & 1 ? shared : CO_LAYOUT_CANONICAL;
    if (!strict) continue;
    if ((co_cpu_has_in(desc, i) && facts.in[i].layout != desc->in[i].layout) ||
        (co_cpu_has_out(desc, i) && facts.out[i].layout != desc->out[i].layout))
      return co_cpu_refuse(answer, "needs other layouts");
  }
  co_op_choice *choice = &answer->choice;
  for (int i = 0; i < CO_OP_MAX_OPERANDS; i++) {
    choice->in[i] = facts.in[i].layout;
    choice->out[i] = facts.out[i].layout;
  }
  choice->implementation = impl->name;
  choice->workspace = impl->workspace ? impl->workspace(cpu, &facts) : 0;
  if (out == NULL) return CO_OK;
  return co_cpu_prepared_create(cpu, impl, &facts, impl->name, sizeof(co_prepared), impl->run, out);
}

// ---- strings -----------------------------------------------------------------------------------

const char *co_cpu_intern(co_cpu *cpu, const char *text) {
  const char *found = NULL;
  pthread_mutex_lock(&cpu->mutex);
  for (int64_t i = 0; i < cpu->string_count && found == NULL; i++)
    if (strcmp(cpu->strings[i], text) == 0) found = cpu->strings[i];
  if (found == NULL) {
    void *data = cpu->strings;
    co_status status = co_grow(cpu->base.ctx, &data, &cpu->string_capacity, cpu->string_count,
                               sizeof *cpu->strings);
    cpu->strings = data;
    char *copy = status == CO_OK ? co_strdup(cpu->base.ctx, text) : NULL;
    if (copy) cpu->strings[cpu->string_count++] = copy;
    found = copy;
  }
  pthread_mutex_unlock(&cpu->mutex);
  return found;
}

// ---- memory ------------------------------------------------------------------------------------

static size_t layout_bytes(co_backend *backend, const co_tensor_desc *desc) {
  return co_cpu_layout_bytes((co_cpu *)backend, desc);
}

static const char *layout_name(co_backend *backend, co_layout id) {
  if (id == CO_LAYOUT_CANONICAL) return "canonical";
  if (id == CO_LAYOUT_ANY) return "any";
  const co_cpu_layout *layout = co_cpu_layout_get((co_cpu *)backend, id);
  return layout ? layout->name : "unknown";
}

// Large pages where the system has them: rows of sequences lie kilobytes apart, more pages than the
// processor knows by heart. A wish; nothing depends on it.
static void wish_large_pages(void *memory, size_t bytes) {
#ifdef MADV_HUGEPAGE
  enum { LARGE = 1 << 21 };
  const size_t before = (LARGE - (uintptr_t)memory % LARGE) % LARGE;
  if (bytes < before + LARGE) return;
  (void)madvise((char *)memory + before, (bytes - before) / LARGE * LARGE, MADV_HUGEPAGE);
#else
  (void)memory;
  (void)bytes;
#endif
}

static co_status buffer_create(co_backend *backend, size_t bytes, void **out) {
  *out = co_alloc(backend->ctx, bytes);
  if (!*out) return CO_ERR_MEMORY;
  wish_large_pages(*out, bytes);
  return CO_OK;
}

static void buffer_free(co_backend *backend, void *buffer) {
  co_free(backend->ctx, buffer);
}

static co_status upload(co_backend *backend, void *device, const void *host, size_t bytes) {
  (void)backend;
  if (bytes > 0 && device != host) memcpy(device, host, bytes);
  return CO_OK;
}

static co_status download(co_backend *backend, void *host, const void *device, size_t bytes) {
  (void)backend;
  if (bytes > 0 && device != host) memcpy(host, device, bytes);
  return CO_OK;
}

static co_status fill_zero(co_backend *backend, void *device, size_t bytes) {
  (void)backend;
  if (bytes > 0) memset(device, 0, bytes);
  return CO_OK;
}

static co_status synchronize(co_backend *backend) {
  (void)backend;
  return CO_OK;
}

// ---- open --------------------------------------------------------------------------------------

static void free_backend(co_backend *backend) {
  if (backend == NULL) return;
  co_cpu *cpu = (co_cpu *)backend;
  co_dnnl_close(&cpu->dnnl);
  co_cpu_layouts_free(cpu);
  for (int64_t i = 0; i < cpu->string_count; i++)
    co_free(backend->ctx, cpu->strings[i]);
  co_free(backend->ctx, cpu->strings);
  co_free(backend->ctx, cpu->force);
  pthread_mutex_destroy(&cpu->mutex);
  co_free(backend->ctx, cpu);
}

static const co_backend_api api = {
    .name = "cpu",
    .alignment = 64,
    .free = free_backend,
    .query = query,
    .prepare = prepare,
    .release = release,
    .run = run,
    .layout_bytes = layout_bytes,
    .layout_name = layout_name,
    .buffer_create = buffer_create,
    .buffer_free = buffer_free,
    .upload = upload,
    .download = download,
    .fill_zero = fill_zero,
    .synchronize = synchronize,
    .folds_norms = true,
    .host_memory = true,
};

static co_isa detect_isa(void) {
#if CO_CPU_X86
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("bmi2"))
    return CO_ISA_AVX512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return CO_ISA_AVX2;
#endif
  return CO_ISA_PORTABLE;
}

co_status co_cpu_backend_open(co_backend **out, co_context *ctx,
                              const co_backend_options *options) {
  co_status status = CO_OK;
  *out = NULL;
  co_cpu *cpu = co_alloc_zero(ctx, 1, sizeof *cpu);
  if (cpu == NULL) return CO_ERR_MEMORY;
  cpu->base.api = &api;
  cpu->base.ctx = ctx;
  cpu->isa = detect_isa();
  cpu->threads = options && options->threads > 0 ? options->threads : co_context_threads(ctx);
  if (cpu->threads < 1) cpu->threads = 1;
  pthread_mutex_init(&cpu->mutex, NULL);
  if (options && options->force) {
    cpu->force = co_strdup(ctx, options->force);
    if (cpu->force == NULL) {
      status = CO_ERR_MEMORY;
      goto cleanup;
    }
  }
  CO_TRY(co_cpu_check_threads(cpu, !(options && options->planning)));
  co_cpu_enter(cpu);
  CO_TRY(co_dnnl_open(&cpu->dnnl));
  *out = &cpu->base;
  return CO_OK;
cleanup:
  free_backend(&cpu->base);
  return status;
}
