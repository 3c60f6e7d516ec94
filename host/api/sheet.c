// SPDX-License-Identifier: Apache-2.0
#include "host/api/sheet.h"

static co_status write_bytes(co_context *ctx, const char *path, const co_text *bytes) {
  co_writer *writer;
  CO_RETURN_IF_FAILED(co_writer_open(&writer, ctx, path, false));
  co_status status = co_writer_write(writer, bytes->data, bytes->length);
  const co_status closed = co_writer_close(writer);
  return status == CO_OK ? closed : status;
}

co_status co_sheet_write(const co_sheet *sheet, co_context *ctx, const co_output *output) {
  co_atomic_file file = {0};
  co_text png;
  co_text_init(&png, ctx);
  co_status status = co_output_begin(&file, ctx, output);
  if (status == CO_OK) status = co_sheet_write_png(&png, ctx, sheet);
  if (status == CO_OK) status = write_bytes(ctx, file.temporary, &png);
  if (status == CO_OK) status = co_atomic_commit(&file);
  co_atomic_abort(&file);
  co_text_free(&png);
  return status;
}
