// SPDX-License-Identifier: Apache-2.0
#include "host/cli/verbs.h"

cohort_import_events_options cli_events_request(const cli_import_options *o) {
  const cli_event_options *e = &o->events;
  return (cohort_import_events_options){
      .output = o->output,
      .files = e->logs.item,
      .file_count = e->logs.count,
      .entity = e->entity,
      .time = e->time,
      .time_format = e->time_format,
      .item = e->item,
      .amount = e->amount,
      .where = e->where,
      .basket = e->basket,
      .session_gap = e->session_gap,
      .columns = e->columns.item,
      .column_count = e->columns.count,
      .cutoffs = e->cutoffs.item,
      .cutoff_count = e->cutoffs.count,
      .gap = e->gap,
      .label_window = e->label_window,
      .label = e->label,
      .label_count = e->label_count,
      .label_amount = e->label_amount,
      .allow_censored = e->allow_censored,
      .next_item = e->next_item,
      .keep_new_items = e->keep_new_items,
      .least_events = e->least_events == CLI_UNSET ? 0 : e->least_events,
      .no_rfm = e->no_rfm,
      .tables = cli_joined_tables(&o->tables),
      .types = o->types.item,
      .type_count = o->types.count,
      .ignored = o->ignored.item,
      .ignored_count = o->ignored.count,
      .fit = o->images.fit,
      .channels = o->images.channels == CLI_UNSET ? 0 : o->images.channels,
      .delimiter = o->delimiter,
      .source = cli_source_options(&o->source),
      .temporary_folder = e->temporary_folder,
      .seed = o->common.seed == CLI_UNSET ? 42 : (uint64_t)o->common.seed,
      .force = o->common.force};
}

co_status cli_import_events(cohort_context *context, const cli_import_options *o,
                            cohort_result **result) {
  cohort_import_events_options request = cli_events_request(o);
  CO_RETURN_IF_FAILED(cli_image_size(&request.image_width, &request.image_height, o->images.size));
  return (co_status)cohort_import_events(context, &request, result);
}
