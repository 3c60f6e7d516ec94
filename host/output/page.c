// SPDX-License-Identifier: Apache-2.0
#include "host/output/page.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void co_page_text(co_text *page, const char *text) {
  for (const char *at = text; *at; at++) {
    const char *as = *at == '&'    ? "&amp;"
                     : *at == '<'  ? "&lt;"
                     : *at == '>'  ? "&gt;"
                     : *at == '"'  ? "&quot;"
                     : *at == '\'' ? "&#39;"
                                   : NULL;
    if (as)
      co_text_append(page, as, strlen(as));
    else if ((unsigned char)*at >= 0x20 && *at != 0x7f)
      co_text_append(page, at, 1);
  }
}

void co_page_base64(co_text *page, const void *bytes, size_t length) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const unsigned char *in = bytes;
  for (size_t i = 0; i < length; i += 3) {
    const size_t left = length - i;
    const unsigned long group = (unsigned long)in[i] << 16 |
                                (left > 1 ? (unsigned long)in[i + 1] << 8 : 0) |
                                (left > 2 ? in[i + 2] : 0);
    char out[4];
    for (int k = 0; k < 4; k++)
      out[k] = (size_t)k > left ? '=' : digits[group >> (18 - 6 * k) & 63];
    co_text_append(page, out, sizeof out);
  }
}

static void put(co_text *page, const char *html) {
  co_text_append(page, html, strlen(html));
}

// ---- the page ----------------------------------------------------------------------------------

// Colours are told apart without seeing red and green (Okabe & Ito 2008, darkened or lightened for
// contrast with the ground).
static const char style[] =
    ":root{color-scheme:light dark;--ground:#f6f7f9;--card:#fff;--line:#e3e6eb;--text:#16191f;"
    "--soft:#5b6472;--grid:#e9ecf0;--a:#1c63c4;--b:#c2570c;--c:#0f8a6c;--d:#8a4fb5;"
    "--mute:#a3abb8;--fill:rgba(28,99,196,.12);--heat:28,99,196}\n"
    "@media(prefers-color-scheme:dark){:root{--ground:#0e1116;--card:#171b22;--line:#2a303a;"
    "--text:#e8ebf0;--soft:#9aa4b2;--grid:#242a34;--a:#69a7ff;--b:#f59b57;--c:#4cc9a4;--d:#c79bf0;"
    "--mute:#5d6675;--fill:rgba(105,167,255,.15);--heat:105,167,255}}\n"
    "*{box-sizing:border-box}html{scroll-behavior:smooth;-webkit-text-size-adjust:100%}\n"
    "body{margin:0;background:var(--ground);color:var(--text);font:15px/1.5 "
    "system-ui,-apple-system,"
    "'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif}\n"
    "main,header,footer{max-width:1240px;margin:0 auto;padding:0 20px}\n"
    "header{padding-top:32px}h1{font-size:26px;line-height:1.25;letter-spacing:-.02em;margin:0 0 "
    "4px;"
    "overflow-wrap:anywhere}.lead{color:var(--soft);margin:0;max-width:75ch}\n"
    "nav{position:sticky;top:0;z-index:1;background:var(--ground);border-bottom:1px solid "
    "var(--line);margin-top:20px}nav div{max-width:1240px;margin:0 auto;padding:0 "
    "20px;display:flex;"
    "gap:20px;overflow-x:auto;white-space:nowrap}nav a{color:var(--soft);text-decoration:none;"
    "padding:10px 0;font-size:13.5px;font-weight:500}nav a:hover,nav a:focus{color:var(--text)}\n"
    "section{padding-top:36px;scroll-margin-top:36px}h2{font-size:19px;letter-spacing:-.01em;"
    "margin:0 0 2px}section>p{color:var(--soft);margin:0 0 14px;max-width:80ch}section>h2+div{"
    "margin-top:12px}\n"
    ".tiles{display:grid;grid-template-columns:repeat(auto-fill,minmax(132px,1fr));gap:12px;"
    "margin:0 0 12px}.tile,.card{background:var(--card);border:1px solid var(--line);"
    "border-radius:10px}.tile{padding:12px 14px}.tile dt{color:var(--soft);font-size:12.5px;"
    "overflow:hidden;text-overflow:ellipsis}"
    ".tile dd{margin:0;font-size:23px;font-weight:600;letter-spacing:-.02em;line-height:1.3;"
    "font-variant-numeric:tabular-nums;overflow-wrap:anywhere}.tile small{display:block;"
    "color:var(--soft);font-size:12px;font-weight:400;letter-spacing:0}\n"
    ".grid{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,380px),1fr));"
    "gap:12px;margin-bottom:12px}.narrow{grid-template-columns:repeat(auto-fill,minmax(min(100%,"
    "270px),1fr))}.half{max-width:620px}.card{padding:14px 16px 12px;min-width:0;margin:0}.wide{"
    "grid-column:1/-1}h3{font-size:14px;font-weight:600;margin:0}.card>p{color:var(--soft);"
    "font-size:12.5px;margin:1px 0 6px}\n"
    ".key{display:flex;flex-wrap:wrap;gap:2px 14px;font-size:12.5px;color:var(--soft);margin:4px 0 "
    "0;padding:0;list-style:none}.key "
    "i{display:inline-block;width:12px;height:3px;border-radius:2px;"
    "margin-right:6px;vertical-align:middle}\n"
    "svg{display:block;width:100%;height:auto;overflow:visible}svg text{fill:var(--soft);font:11px "
    "system-ui,-apple-system,'Segoe UI',Roboto,sans-serif;font-variant-numeric:tabular-nums}"
    ".gr{stroke:var(--grid);stroke-width:1}.ax{stroke:var(--line);stroke-width:1}"
    ".ln{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}.da{stroke-dasharray:"
    "4 "
    "4;stroke-width:1.5}.ar{fill:var(--fill);stroke:none}"
    ".sa{stroke:var(--a)}.sb{stroke:var(--b)}.sc{stroke:var(--c)}.sd{stroke:var(--d)}"
    ".sm{stroke:var(--mute)}.dt{fill:none;stroke-width:4;stroke-linecap:round;stroke-opacity:.7}"
    ".fa{fill:var(--a)}.fb{fill:var(--b)}.fc{fill:var(--c)}.fd{fill:var(--d)"
    "}"
    ".fm{fill:var(--mute)}.ka{background:var(--a)}.kb{background:var(--b)}.kc{background:var(--c)}"
    ".kd{background:var(--d)}.km{background:var(--mute)}svg .lb{fill:var(--text)}\n"
    ".scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:13.5px;"
    "font-variant-numeric:tabular-nums}caption{text-align:left;color:var(--soft);font-size:12.5px;"
    "padding-bottom:6px}th,td{padding:5px 10px;text-align:right;border-top:1px solid var(--line);"
    "white-space:nowrap}th:first-child,td:first-child{text-align:left;padding-left:0;white-space:"
    "normal;overflow-wrap:anywhere;min-width:112px}thead th{color:var(--soft);font-weight:500;"
    "font-size:12.5px;border-top:0}tbody th{font-weight:500}\n"
    ".pairs{display:flex;flex-wrap:wrap;gap:10px 14px;padding-top:6px}.pairs figure{margin:0}"
    ".pairs img{width:76px;image-rendering:pixelated;border-radius:3px;margin-right:2px}"
    ".pairs figcaption{color:var(--soft);font-size:12px;font-variant-numeric:tabular-nums}\n"
    "td.h{text-align:center}footer{color:var(--soft);font-size:12.5px;padding:36px 20px 40px}\n"
    "@media(max-width:520px){main,header,footer,nav div{padding-left:14px;padding-right:14px}"
    "header{padding-top:20px}h1{font-size:22px}.tiles{grid-template-columns:1fr 1fr}.tile dd{"
    "font-size:19px}.card{padding:12px}}\n"
    ".pics{display:grid;grid-template-columns:repeat(4,1fr);gap:8px;margin-top:6px}figure{margin:0}"
    "figure img{display:block;width:100%;image-rendering:pixelated;border-radius:4px}figcaption{"
    "color:var(--soft);font-size:11.5px;line-height:1.3;margin-top:3px}\n"
    "@media print{nav{display:none}.card,.tile{break-inside:avoid}}\n";

void co_page_png(co_text *page, const void *bytes, size_t length, const char *what) {
  co_text_printf(page, "<img alt=\"");
  co_page_text(page, what);
  co_text_printf(page, "\" src=\"data:image/png;base64,");
  co_page_base64(page, bytes, length);
  co_text_printf(page, "\">");
}

co_status co_page_image(co_text *page, co_context *ctx, const co_image *image, const char *what) {
  co_text png;
  co_text_init(&png, ctx);
  co_status status = co_image_write_png(&png, image);
  co_page_png(page, png.data, png.length, what);
  co_text_free(&png);
  return status;
}

void co_page_open(co_text *page, const char *title) {
  put(page, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
            "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src "
            "data:; style-src 'unsafe-inline'\">\n<meta name=\"color-scheme\" content=\"light "
            "dark\">\n<title>");
  co_page_text(page, title);
  put(page, "</title>\n<style>\n");
  put(page, style);
  put(page, "</style>\n</head>\n<body>\n");
}

void co_page_close(co_text *page) {
  put(page, "</body>\n</html>\n");
}

void co_page_section(co_text *page, const char *id, const char *title, const char *note) {
  co_text_printf(page, "<section id=\"%s\" aria-labelledby=\"%s-h\">\n<h2 id=\"%s-h\">", id, id,
                 id);
  co_page_text(page, title);
  put(page, "</h2>\n");
  if (!note) return;
  put(page, "<p>");
  co_page_text(page, note);
  put(page, "</p>\n");
}

void co_page_section_end(co_text *page) {
  put(page, "</section>\n");
}

void co_page_tiles(co_text *page) {
  put(page, "<dl class=\"tiles\">\n");
}

void co_page_tile(co_text *page, const char *name, const char *value, const char *note) {
  put(page, "<div class=\"tile\"><dt>");
  co_page_text(page, name);
  put(page, "</dt><dd>");
  co_page_text(page, value);
  if (note) {
    put(page, " <small>");
    co_page_text(page, note);
    put(page, "</small>");
  }
  put(page, "</dd></div>\n");
}

void co_page_tiles_end(co_text *page) {
  put(page, "</dl>\n");
}

void co_page_card(co_text *page, const char *title, const char *note, bool wide) {
  put(page, wide ? "<div class=\"card wide\">\n<h3>" : "<div class=\"card\">\n<h3>");
  co_page_text(page, title);
  put(page, "</h3>\n");
  if (!note) return;
  put(page, "<p>");
  co_page_text(page, note);
  put(page, "</p>\n");
}

void co_page_card_end(co_text *page) {
  put(page, "</div>\n");
}

void co_page_grid(co_text *page, bool narrow) {
  put(page, narrow ? "<div class=\"grid narrow\">\n" : "<div class=\"grid\">\n");
}

void co_page_grid_end(co_text *page) {
  put(page, "</div>\n");
}

// ---- tables ------------------------------------------------------------------------------------

void co_page_table(co_text *page, const char *caption, const char *const *heads) {
  put(page, "<div class=\"scroll\" tabindex=\"0\"><table>");
  if (caption) {
    put(page, "<caption>");
    co_page_text(page, caption);
    put(page, "</caption>");
  }
  put(page, "<thead><tr>");
  for (int i = 0; heads[i]; i++) {
    put(page, "<th scope=\"col\">");
    co_page_text(page, heads[i]);
    put(page, "</th>");
  }
  put(page, "</tr></thead><tbody>\n");
}

void co_page_row(co_text *page, const char *name) {
  put(page, "<tr><th scope=\"row\">");
  co_page_text(page, name);
  put(page, "</th>");
}

void co_page_cell(co_text *page, const char *format, ...) {
  char text[256];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  put(page, "<td>");
  co_page_text(page, text);
  put(page, "</td>");
}

void co_page_row_end(co_text *page) {
  put(page, "</tr>\n");
}

void co_page_table_end(co_text *page) {
  put(page, "</tbody></table></div>\n");
}

// ---- numbers -----------------------------------------------------------------------------------

co_number_text co_show(double value) {
  co_number_text out;
  double size = fabs(value);
  if (isnan(value))
    snprintf(out.text, sizeof out.text, "–");
  else if ((size >= 1e4 || fabs(value - round(value)) <= 1e-9 * size) && size < 1e15)
    snprintf(out.text, sizeof out.text, "%.0f", value);
  else if (size >= 1e-3 && size < 1e4)
    snprintf(out.text, sizeof out.text, "%.*f",
             size < 1     ? 4
             : size < 10  ? 3
             : size < 100 ? 2
                          : 1,
             value);
  else
    snprintf(out.text, sizeof out.text, "%.3g", value);
  if (!(size >= 1e4 && size < 1e15)) return out;
  // Thousands apart, by thin spaces.
  char grouped[sizeof out.text];
  size_t length = strlen(out.text), sign = *out.text == '-', at = 0;
  for (size_t i = 0; i < length; i++) {
    if (i > sign && (length - i) % 3 == 0) {
      memcpy(grouped + at, "\xe2\x80\x89", 3);
      at += 3;
    }
    grouped[at++] = out.text[i];
  }
  grouped[at] = 0;
  memcpy(out.text, grouped, at + 1);
  return out;
}

co_number_text co_show_brief(double value) {
  if (!(fabs(value) >= 1e6 && fabs(value) < 1e15)) return co_show(value);
  static const char units[] = "MGT";
  co_number_text out;
  int unit = 0;
  for (value /= 1e6; fabs(value) >= 1e3; value /= 1e3)
    unit++;
  snprintf(out.text, sizeof out.text, "%.4g %c", value, units[unit]);
  return out;
}

co_number_text co_show_percent(double share) {
  co_number_text out;
  if (isnan(share))
    snprintf(out.text, sizeof out.text, "–");
  else
    snprintf(out.text, sizeof out.text, "%.*f %%", share < 0.0995 ? 2 : 1, 100 * share);
  return out;
}
