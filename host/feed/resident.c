// SPDX-License-Identifier: Apache-2.0
#include "host/feed/resident.h"

#include "host/feed/collate.h"

// Left free on the device for what libraries allocate by themselves.
static const size_t reserve_bytes = (size_t)256 << 20;

// ---- the section -------------------------------------------------------------------------------

static co_status build(co_resident *r, co_dataset *dataset) {
  const co_model *model = r->model;
  size_t count = (size_t)model->block_count + 1;
  int64_t *rows = co_alloc_zero(r->ctx, count, sizeof *rows);
  r->network_inputs = co_alloc_zero(r->ctx, count, sizeof *r->network_inputs);
  co_status status = rows && r->network_inputs ? CO_OK : CO_ERR_MEMORY;
  for (int64_t i = 0; status == CO_OK && i < model->block_count; i++) {
    rows[i] = CO_DIM_N;
    if (r->resident) status = co_block_table_rows(dataset, &model->blocks[i], &rows[i]);
    r->network_inputs[i] = model->network->values[model->blocks[i].network_input].index;
  }
  if (status == CO_OK) status = co_section_create(&r->section, model, rows);
  co_free(r->ctx, rows);
  if (status == CO_OK) r->input = (co_input_section){r->section->graph, r->network_inputs};
  return status;
}

static size_t input_bytes(const co_graph *graph, int32_t position) {
  return co_tensor_bytes(&graph->values[graph->inputs[position]].desc);
}

// The next feed, from *i on, that lies on the device; NULL at the end.
static const co_feed *next_fixed(const co_resident *r, int64_t *i) {
  const co_feed_list *feeds = &r->section->feeds;
  while (*i < feeds->count) {
    const co_feed *feed = &feeds->items[(*i)++];
    if (!co_feed_is_of_rows(feed)) return feed;
  }
  return NULL;
}

static void count_bytes(co_resident *r) {
  int64_t i = 0;
  for (const co_feed *feed; (feed = next_fixed(r, &i));)
    r->bytes += input_bytes(r->section->graph, feed->input);
}

static co_status allocate(co_resident *r) {
  const co_graph *graph = r->section->graph;
  int64_t i = 0;
  r->buffers = co_alloc_zero(r->ctx, (size_t)graph->input_count + 1, sizeof *r->buffers);
  if (!r->buffers) return CO_ERR_MEMORY;
  for (const co_feed *feed; (feed = next_fixed(r, &i));)
    CO_RETURN_IF_FAILED(r->backend->api->buffer_create(r->backend, input_bytes(graph, feed->input),
                                                       &r->buffers[feed->input]));
  return CO_OK;
}

static co_status load(co_resident *r, co_program *program, const co_collator *collator, int64_t i) {
  const co_feed *feed = co_collator_feed(collator, i);
  size_t bytes = co_collator_fixed_bytes(collator, i);
  void *room = NULL;
  if (co_collator_needs_room(collator, i) && !(room = co_alloc(r->ctx, bytes)))
    return CO_ERR_MEMORY;
  co_program_fix_input(program, feed->input, r->buffers[feed->input]);
  co_status status = r->backend->api->upload(r->backend, r->buffers[feed->input],
                                             co_collator_fixed(collator, i, room), bytes);
  if (status == CO_OK) status = r->backend->api->synchronize(r->backend);
  co_free(r->ctx, room);
  return status;
}

co_status co_resident_load(co_resident *r, co_program *program, co_dataset *dataset) {
  co_collator *collator;
  if (!r->section) return CO_OK;
  CO_RETURN_IF_FAILED(co_collator_create(&collator, r->section, dataset, false, false));
  co_status status = CO_OK;
  for (int64_t i = 0; status == CO_OK && i < co_collator_count(collator); i++)
    if (!co_feed_is_of_rows(co_collator_feed(collator, i))) status = load(r, program, collator, i);
  co_collator_free(collator);
  return status;
}

// ---- choice ------------------------------------------------------------------------------------

static co_status fits(const co_resident *r, bool *out) {
  size_t available, total;
  CO_RETURN_IF_FAILED(r->backend->api->memory_info(r->backend, &available, &total));
  *out = available > reserve_bytes && r->bytes <= available - reserve_bytes;
  return CO_OK;
}

static co_status make(co_resident **out, co_program **program, co_model *model, co_dataset *dataset,
                      co_backend *backend, const co_program_options *options, bool resident,
                      bool must_fit, bool *fitting) {
  *fitting = true;
  co_resident *r = co_alloc_zero(model->ctx, 1, sizeof *r);
  if (!r) return CO_ERR_MEMORY;
  r->ctx = model->ctx;
  r->backend = backend;
  r->model = model;
  r->resident = resident;
  *out = r;
  co_program_options own = *options;
  if (!backend->api->host_memory) {
    CO_RETURN_IF_FAILED(build(r, dataset));
    count_bytes(r);
    own.section = &r->input;
    if (resident && !must_fit) CO_RETURN_IF_FAILED(fits(r, fitting)); // before much is done
    if (!*fitting) return CO_OK;
  }
  CO_RETURN_IF_FAILED(co_program_create(program, model->network, backend, &own));
  if (!r->section) return CO_OK;
  if (resident && !must_fit) CO_RETURN_IF_FAILED(fits(r, fitting));
  if (!*fitting) return CO_OK;
  return allocate(r);
}

static void undo(co_resident **resident, co_program **program) {
  co_program_free(*program);
  co_resident_free(*resident);
  *program = NULL;
  *resident = NULL;
}

co_status co_resident_create(co_resident **out, co_program **program, co_model *model,
                             co_dataset *dataset, co_backend *backend,
                             const co_program_options *options, co_placement placement) {
  bool fitting;
  co_status status = CO_OK;
  *out = NULL;
  *program = NULL;
  if (placement != CO_PLACEMENT_HOST && !backend->api->host_memory) {
    bool must_fit = placement == CO_PLACEMENT_DEVICE;
    status = make(out, program, model, dataset, backend, options, true, must_fit, &fitting);
    if (status == CO_OK && fitting) return CO_OK;
    size_t bytes = *out ? (*out)->bytes : 0;
    undo(out, program);
    // A program that does not fit beside the columns may fit without them.
    if (must_fit || (status != CO_OK && status != CO_ERR_MEMORY)) return status;
    co_log(model->ctx, CO_LOG_INFO, "device",
           "the dataset's %zu bytes do not fit on the device%s%s: rows come with each batch", bytes,
           status == CO_OK ? "" : " beside the model: ",
           status == CO_OK ? "" : co_error_last()->message);
    co_error_clear();
  }
  status = make(out, program, model, dataset, backend, options, false, true, &fitting);
  if (status != CO_OK) undo(out, program);
  return status;
}

void co_resident_free(co_resident *r) {
  if (!r) return;
  for (int64_t i = 0; r->buffers && i < r->section->graph->input_count; i++)
    r->backend->api->buffer_free(r->backend, r->buffers[i]);
  co_free(r->ctx, r->buffers);
  co_section_free(r->section);
  co_free(r->ctx, r->network_inputs);
  co_free(r->ctx, r);
}
