// SPDX-License-Identifier: Apache-2.0
// Whether the threads that the backend is to use can be had. GNU OpenMP ends the process when the
// system refuses it a thread, so that is tried before it is asked.
#include <errno.h>
#include <limits.h>

#include "kernels/cpu/cpu.h"

#ifdef _OPENMP

static co_status refuse(int threads, int limit, const char *why) {
  co_status status =
      co_fail(CO_ERR_DEVICE, "%d threads are wanted, but %s allows %d", threads, why, limit);
  co_hint("give --threads %d, or raise the limit", limit);
  return status;
}

static co_status check_limits(const co_cpu *cpu) {
  co_context *ctx = cpu->base.ctx;
  int limit = co_context_thread_limit(ctx), openmp = omp_get_thread_limit();
  if (limit && cpu->threads > limit) return refuse(cpu->threads, limit, co_context_limit_why(ctx));
  if (cpu->threads > openmp) return refuse(cpu->threads, openmp, "OpenMP (OMP_THREAD_LIMIT)");
  return CO_OK;
}

// Threads that wait until all of them are there.
typedef struct gathering {
  pthread_mutex_t mutex;
  pthread_cond_t over;
  bool ended;
} gathering;

static void *wait_for_end(void *argument) {
  gathering *all = argument;
  pthread_mutex_lock(&all->mutex);
  while (!all->ended)
    pthread_cond_wait(&all->over, &all->mutex);
  pthread_mutex_unlock(&all->mutex);
  return NULL;
}

// Creates `count` threads that are there at once, and ends them; 0 or errno.
static int try_threads(pthread_t *threads, int count) {
  gathering all = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false};
  int started = 0, error = 0;
  while (started < count && !error) {
    error = pthread_create(&threads[started], NULL, wait_for_end, &all);
    if (!error) started++;
  }
  pthread_mutex_lock(&all.mutex);
  all.ended = true;
  pthread_cond_broadcast(&all.over);
  pthread_mutex_unlock(&all.mutex);
  for (int i = 0; i < started; i++)
    pthread_join(threads[i], NULL);
  pthread_cond_destroy(&all.over);
  pthread_mutex_destroy(&all.mutex);
  return error;
}

static co_status create_threads(const co_cpu *cpu) {
  co_context *ctx = cpu->base.ctx;
  int count = cpu->threads; // the others, and one for what else will want a thread
  if (count < 2) return CO_OK;
  pthread_t *threads = co_alloc_zero(ctx, (size_t)count, sizeof *threads);
  if (!threads) return CO_ERR_MEMORY;
  int error = try_threads(threads, count);
  co_free(ctx, threads);
  if (!error) return CO_OK;
  co_fail_errno(CO_ERR_MEMORY, error, "%d threads cannot be created", cpu->threads);
  co_hint("give fewer --threads, or raise the limits of processes and memory (ulimit -u, -v)");
  return CO_ERR_MEMORY;
}

// One region as operations have them.
static co_status count_threads(const co_cpu *cpu) {
  int given = 1;
  co_cpu_enter(cpu);
#pragma omp parallel
  {
#pragma omp single
    given = omp_get_num_threads();
  }
  return given == cpu->threads ? CO_OK : refuse(cpu->threads, given, "OpenMP");
}

co_status co_cpu_check_threads(const co_cpu *cpu, bool create) {
  CO_RETURN_IF_FAILED(check_limits(cpu));
  if (!create) return CO_OK;
  CO_RETURN_IF_FAILED(create_threads(cpu));
  return count_threads(cpu);
}

#else

co_status co_cpu_check_threads(const co_cpu *cpu, bool create) {
  (void)cpu, (void)create;
  return CO_OK;
}

#endif
