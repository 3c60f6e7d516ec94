// SPDX-License-Identifier: Apache-2.0
#include <math.h>
#include <stdlib.h>

#include "host/cli/verbs.h"

// "64x48"
co_status cli_image_size(int64_t *width, int64_t *height, const char *text) {
  char *end = (char *)text;
  *width = *height = 0;
  if (!text) return CO_OK;
  if (*text >= '0' && *text <= '9') *width = strtol(text, &end, 10);
  if (*end == 'x' && end[1] >= '0' && end[1] <= '9') *height = strtol(end + 1, &end, 10);
  if (!*end && *width > 0 && *height > 0) return CO_OK;
  co_status status = co_fail(CO_ERR_USAGE, "--image-size %.100s: not understood", text);
  co_hint("width and height in pixels: --image-size 64x64");
  return status;
}

co_status cli_import_images(cohort_context *context, const cli_import_options *o,
                            cohort_result **result) {
  const cli_image_options *i = &o->images;
  cohort_import_images_options request = {
      .output = o->output,
      .folder = o->files.item[0],
      .fit = i->fit,
      .channels = i->channels == CLI_UNSET ? 0 : i->channels,
      .split = o->split,
      .validation_fraction = isnan(o->validation_fraction) ? -1 : o->validation_fraction,
      .on_error = o->source.on_error,
      .max_errors = o->source.max_errors,
      .labels = i->labels,
      .max_pixels = i->max_pixels == CLI_UNSET ? 0 : i->max_pixels,
      .seed = o->common.seed == CLI_UNSET ? 42 : (uint64_t)o->common.seed,
      .force = o->common.force};
  CO_RETURN_IF_FAILED(cli_image_size(&request.image_width, &request.image_height, i->size));
  return (co_status)cohort_import_images(context, &request, result);
}
