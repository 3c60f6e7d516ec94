// SPDX-License-Identifier: Apache-2.0
#include "datasets/text_input.h"

#include <errno.h>
#include <iconv.h>
#include <string.h>

enum { RAW_BYTES = 1 << 16 };

struct co_text_input {
  co_context *ctx;
  co_source *source;
  iconv_t convert; // (iconv_t)-1 = nothing is to be converted
  char *raw;
  size_t at, end;
  bool finished; // the source is
};

static co_status open_converter(iconv_t *out, const char *encoding) {
  *out = iconv_open("UTF-8", encoding);
  if (*out != (iconv_t)-1) return CO_OK;
  co_status status = co_fail(CO_ERR_USAGE, "there is no encoding '%.100s'", encoding);
  co_hint("for example latin1, windows-1252, utf-16; `iconv -l` lists all");
  return status;
}

co_status co_text_check_encoding(const char *encoding) {
  iconv_t convert;
  co_status status = open_converter(&convert, encoding);
  if (status == CO_OK) iconv_close(convert);
  return status;
}

co_status co_text_input_open(co_text_input **out, co_context *ctx, const char *path,
                             const char *encoding, bool hashed) {
  co_status status = CO_OK;
  co_text_input *in = *out = co_alloc_zero(ctx, 1, sizeof *in);
  if (!in) return CO_ERR_MEMORY;
  in->ctx = ctx;
  in->convert = (iconv_t)-1;
  if (encoding) {
    CO_TRY(open_converter(&in->convert, encoding));
    if (!(in->raw = co_alloc(ctx, RAW_BYTES))) status = CO_ERR_MEMORY;
  }
  if (status == CO_OK) status = co_source_open(&in->source, ctx, path);
  if (status == CO_OK && !hashed) co_source_leave_unhashed(in->source);

cleanup:
  if (status == CO_OK) return CO_OK;
  co_text_input_close(in);
  *out = NULL;
  return status;
}

void co_text_input_close(co_text_input *in) {
  if (!in) return;
  if (in->convert != (iconv_t)-1) iconv_close(in->convert);
  co_source_close(in->source);
  co_free(in->ctx, in->raw);
  co_free(in->ctx, in);
}

static co_status top_up(co_text_input *in) {
  size_t got;
  memmove(in->raw, in->raw + in->at, in->end - in->at);
  in->end -= in->at;
  in->at = 0;
  CO_RETURN_IF_FAILED(co_source_read(in->source, in->raw + in->end, RAW_BYTES - in->end, &got));
  in->finished = got < RAW_BYTES - in->end;
  in->end += got;
  return CO_OK;
}

static co_status read_converted(co_text_input *in, unsigned char *out, size_t bytes, size_t *got) {
  while (*got + 8 < bytes) { // room for any character
    if (!in->finished && in->end - in->at < 16) CO_RETURN_IF_FAILED(top_up(in));
    if (in->at == in->end) break;
    char *from = in->raw + in->at, *to = (char *)out + *got;
    size_t left = in->end - in->at, room = bytes - *got;
    size_t result = iconv(in->convert, &from, &left, &to, &room);
    int error = result == (size_t)-1 ? errno : 0;
    in->at = in->end - left;
    *got = bytes - room;
    if (error == EILSEQ || (error == EINVAL && in->finished)) {
      out[(*got)++] = 0xFF;
      in->at++;
    } else if (error == EINVAL) {
      CO_RETURN_IF_FAILED(top_up(in));
    } else if (error == E2BIG) {
      break;
    }
  }
  return CO_OK;
}

co_status co_text_input_read(co_text_input *in, unsigned char *out, size_t bytes, size_t *got,
                             bool *ended) {
  *got = 0;
  if (in->convert != (iconv_t)-1) {
    CO_RETURN_IF_FAILED(read_converted(in, out, bytes, got));
    *ended = in->finished && in->at == in->end;
    return CO_OK;
  }
  CO_RETURN_IF_FAILED(co_source_read(in->source, out, bytes, got));
  *ended = *got < bytes;
  return CO_OK;
}

const co_source *co_text_input_source(const co_text_input *in) {
  return in->source;
}

void co_text_input_digest(co_text_input *in, char hex[65]) {
  co_source_digest(in->source, hex);
}
