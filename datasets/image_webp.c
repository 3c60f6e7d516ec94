// SPDX-License-Identifier: Apache-2.0
// WebP by libwebp, opened on use. Its simple interface (webp/decode.h) is stable and declared here.
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include "host/core/library.h"

#include "datasets/image_private.h"

#define LIBRARY "libwebp.so.7"

typedef struct webp_api {
  void *library;
  int (*get_info)(const uint8_t *, size_t, int *, int *);
  uint8_t *(*decode_rgba_into)(const uint8_t *, size_t, uint8_t *, size_t, int);
  int (*version)(void);
} webp_api;

static co_status load(webp_api *api) {
  void *l = api->library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
  if (l && co_library_find(l, "WebPGetInfo", &api->get_info) &&
      co_library_find(l, "WebPDecodeRGBAInto", &api->decode_rgba_into) &&
      co_library_find(l, "WebPGetDecoderVersion", &api->version))
    return CO_OK;
  if (l) dlclose(l);
  return co_fail(CO_ERR_DATA, "WebP is read by %s, which is missing (apt install libwebp7)",
                 LIBRARY);
}

static bool is_webp(const uint8_t *bytes, size_t length) {
  return length >= 12 && memcmp(bytes, "RIFF", 4) == 0 && memcmp(bytes + 8, "WEBP", 4) == 0;
}

static co_status read_info(co_image_info *out, const webp_api *api, const uint8_t *bytes,
                           size_t length, int64_t most) {
  int width, height;
  if (!api->get_info(bytes, length, &width, &height))
    return co_fail(CO_ERR_DATA, "the WebP header is damaged");
  *out = (co_image_info){.height = height, .width = width, .channels = 3, .orientation = 1};
  return co_image_check_size(height, width, most);
}

static co_status measure(co_image_info *out, const uint8_t *bytes, size_t length, int64_t most) {
  webp_api api = {NULL};
  CO_RETURN_IF_FAILED(load(&api));
  co_status status = read_info(out, &api, bytes, length, most);
  dlclose(api.library);
  return status;
}

static co_status read_pixels(co_image *out, co_context *ctx, const webp_api *api,
                             const uint8_t *bytes, size_t length, const co_image_request *request) {
  CO_RETURN_IF_FAILED(read_info(&out->info, api, bytes, length, request->most));
  int64_t width = out->info.width, count = out->info.height * width;
  out->info.channels = request->channels;
  CO_RETURN_IF_FAILED(co_image_allocate(out, ctx));
  uint8_t *rgba = co_alloc(ctx, (size_t)count * 4);
  if (!rgba) return CO_ERR_MEMORY;
  co_status status = CO_OK;
  if (api->decode_rgba_into(bytes, length, rgba, (size_t)count * 4, (int)width * 4))
    co_image_convert(out->pixels, request->channels, rgba, 4, count);
  else
    status = co_fail(CO_ERR_DATA, "the WebP data are damaged, or an animation");
  co_free(ctx, rgba);
  return status;
}

static co_status decode(co_image *out, co_context *ctx, const uint8_t *bytes, size_t length,
                        const co_image_request *request) {
  webp_api api = {NULL};
  CO_RETURN_IF_FAILED(load(&api));
  co_status status = read_pixels(out, ctx, &api, bytes, length, request);
  dlclose(api.library);
  return status;
}

const co_image_format co_image_webp = {is_webp, measure, decode};

void co_image_webp_version(char out[64]) {
  webp_api api = {NULL};
  if (load(&api) != CO_OK) {
    snprintf(out, 64, "missing (apt install libwebp7)");
    co_error_clear();
    return;
  }
  int version = api.version();
  snprintf(out, 64, "libwebp %d.%d.%d", version >> 16 & 255, version >> 8 & 255, version & 255);
  dlclose(api.library);
}
