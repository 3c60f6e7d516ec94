// SPDX-License-Identifier: Apache-2.0
// stdout carries the result and nothing else; log, progress and errors go to stderr.
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "host/cli/cli.h"
#include "host/cli/environment.h"
#include "host/cli/signal.h"

// ---- log ---------------------------------------------------------------------------------------

static const char *level_name(co_log_level level) {
  static const char *const names[] = {"ERROR", "WARN", "INFO", "DEBUG", "TRACE"};
  return names[level];
}

static const char *level_color(co_log_level level) {
  return level == CO_LOG_ERROR ? "\033[31m" : level == CO_LOG_WARN ? "\033[33m" : "";
}

static void put_json_text(FILE *out, const char *text, size_t length) {
  fputc('"', out);
  for (size_t i = 0; i < length; i++) {
    unsigned char c = (unsigned char)text[i];
    if (c == '"' || c == '\\')
      fprintf(out, "\\%c", c);
    else if (c < 0x20 || c == 0x7F)
      fprintf(out, "\\u%04x", c);
    else
      fputc(c, out);
  }
  fputc('"', out);
}

// The length of "key=value" at `p`, or 0.
static size_t pair_length(const char *p) {
  size_t key = strcspn(p, "= \"");
  if (!key || p[key] != '=') return 0;
  size_t value = strcspn(p + key + 1, " =\"");
  char end = p[key + 1 + value];
  return value && (!end || end == ' ') ? key + 1 + value : 0;
}

static bool is_pairs(const char *text) {
  size_t length;
  for (; (length = pair_length(text)) > 0; text++) {
    text += length;
    if (!*text) return true;
  }
  return false;
}

// Numbers as JSON has them.
static bool is_number(const char *p, size_t length) {
  const char *end = p + length;
  p += p < end && *p == '-';
  if (p == end || (*p == '0' && end - p > 1 && p[1] != '.' && p[1] != 'e')) return false;
  size_t digits = strspn(p, "0123456789");
  if (!digits) return false;
  p += digits;
  if (p < end && *p == '.') {
    digits = strspn(p + 1, "0123456789");
    if (!digits) return false;
    p += 1 + digits;
  }
  if (p < end && (*p == 'e' || *p == 'E')) {
    p += 1 + (p[1] == '-' || p[1] == '+');
    digits = strspn(p, "0123456789");
    if (!digits) return false;
    p += digits;
  }
  return p == end;
}

static bool is_word(const char *value, size_t length, const char *word) {
  return length == strlen(word) && memcmp(value, word, length) == 0;
}

// As the kind of value it is, which must not depend on what it is: a loss that is no number is null.
static void put_value(FILE *out, const char *value, size_t length) {
  if (is_number(value, length) || is_word(value, length, "true") || is_word(value, length, "false"))
    fprintf(out, "%.*s", (int)length, value);
  else if (is_word(value, length, "nan") || is_word(value, length, "-nan") ||
           is_word(value, length, "inf") || is_word(value, length, "-inf"))
    fputs("null", out);
  else
    put_json_text(out, value, length);
}

// "step=5 loss=0.1 best=true" becomes {"step":5,"loss":0.1,"best":true}.
static void put_pairs(FILE *out, const char *text) {
  const char *separator = "{";
  while (*text) {
    size_t key = strcspn(text, "="), value = strcspn(text + key + 1, " ");
    const char *start = text + key + 1;
    fputs(separator, out);
    put_json_text(out, text, key);
    fputc(':', out);
    put_value(out, start, value);
    separator = ",";
    text = start + value + (start[value] == ' ');
  }
  fputc('}', out);
}

static void put_line(FILE *out, const cli_job *cli, bool colored, co_log_level level,
                     const char *event, const char *text) {
  char stamp[32] = "";
  time_t now = time(NULL);
  struct tm utc;
  if (gmtime_r(&now, &utc)) strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%SZ", &utc);
  if (!cli->log_as_json) {
    const char *color = colored ? level_color(level) : "";
    fprintf(out, "%s %s%s%s %s %s\n", stamp, color, level_name(level), *color ? "\033[0m" : "",
            event, text);
    return;
  }
  fprintf(out, "{\"time\":\"%s\",\"level\":\"%s\",\"event\":", stamp, level_name(level));
  put_json_text(out, event, strlen(event));
  if (is_pairs(text)) {
    fputs(",\"fields\":", out);
    put_pairs(out, text);
  } else {
    fputs(",\"text\":", out);
    put_json_text(out, text, strlen(text));
  }
  fputs("}\n", out);
}

// The figures of an epoch, which stand in the table, and the checkpoints behind it.
static bool is_in_table(co_log_level level, const char *event, const char *text) {
  return level == CO_LOG_INFO &&
         (strcmp(event, "eval") == 0 || strcmp(event, "checkpoint") == 0 ||
          strcmp(event, "epoch") == 0 || (strcmp(event, "train") == 0 && is_pairs(text)));
}

// What a person reads has no dates, and says nothing twice.
static void write_attended(const cli_job *cli, co_log_level level, const char *event,
                           const char *text) {
  if (is_in_table(level, event, text)) return;
  if (cli->progress) co_progress_erase(cli->progress);
  const char *color = cli->colored ? level_color(level) : "";
  if (level == CO_LOG_INFO)
    fprintf(stderr, "%s\n", text);
  else
    fprintf(stderr, "%s%s%s: %s\n", color, level == CO_LOG_WARN ? "warning" : "error",
            *color ? "\033[0m" : "", text);
  fflush(stderr);
}

static void write_line(FILE *out, const cli_job *cli, bool colored, co_log_level level,
                       const char *event, const char *text) {
  char *line = NULL;
  size_t length = 0;
  FILE *memory = open_memstream(&line, &length);
  if (!memory) return;
  put_line(memory, cli, colored, level, event, text);
  // In one piece, so that lines of several processes do not mix.
  if (fclose(memory) == 0) fwrite(line, 1, length, out);
  free(line);
  fflush(out);
}

// Who moves a log file away says so by SIGHUP. What cannot be opened anew goes on where it was.
static void follow_log_file(cli_job *cli) {
  int hangups = *cli_hangups();
  if (!cli->log_file || hangups == cli->hangups) return;
  cli->hangups = hangups;
  FILE *file = fopen(cli->common->log_file, "a");
  if (!file) return;
  fclose(cli->log_file);
  cli->log_file = file;
}

static void log_sink(void *user, co_log_level level, const char *event, const char *text) {
  cli_job *cli = user;
  follow_log_file(cli);
  if (cli->attended) {
    write_attended(cli, level, event, text);
  } else {
    if (cli->progress) co_progress_erase(cli->progress);
    write_line(stderr, cli, cli->colored, level, event, text);
  }
  if (cli->log_file) write_line(cli->log_file, cli, false, level, event, text);
}

// ---- common options ----------------------------------------------------------------------------

static bool wants_color(int choice) {
  enum { AUTO, ALWAYS, NEVER };
  if (choice != AUTO) return choice == ALWAYS;
  const char *off = getenv("NO_COLOR"), *force = getenv("CLICOLOR_FORCE"), *term = getenv("TERM");
  if (off && *off) return false;
  if (force && *force && strcmp(force, "0") != 0) return true;
  return isatty(STDERR_FILENO) && term && strcmp(term, "dumb") != 0;
}

static co_log_level chosen_level(const cli_common *common) {
  int level = common->log_level + common->verbose - common->quiet;
  return level < CO_LOG_ERROR ? CO_LOG_ERROR : level > CO_LOG_TRACE ? CO_LOG_TRACE : level;
}

// A person reads stderr: not a program, nor one who asked for the log as programs get it.
static bool is_attended(const cli_job *cli) {
  return isatty(STDERR_FILENO) && !cli->as_json && !cli->log_as_json &&
         cli->common->progress != CO_PROGRESS_PLAIN && cli->level <= CO_LOG_INFO;
}

// Never into a file that the command reads or writes.
static co_status open_log_file(cli_job *cli, const cli_common *common) {
  cli_syntax syntax = cli_verb_syntax(cli->verb);
  const char *other = cli_option_naming(common, &syntax, common->log_file);
  if (other) {
    co_status status =
        co_fail(CO_ERR_USAGE, "--log-file %s is the file of %s%s", common->log_file,
                strcmp(other, syntax.operand ? syntax.operand : "") ? "--" : "", other);
    co_hint("choose another --log-file");
    return status;
  }
  if (!(cli->log_file = fopen(common->log_file, "a")))
    return co_fail_errno(CO_ERR_IO, errno, "cannot open the log file '%s'", common->log_file);
  cli_signals_take_hangups();
  return CO_OK;
}

static void choose_threads(cli_job *cli, const cli_common *common) {
  cli_environment environment;
  if (!(cli->verb->common & CLI_THREADS)) return;
  cli_environment_read(&environment);
  for (int i = 0; i < 2; i++)
    if (environment.wrong[i])
      co_log(cli->ctx, CO_LOG_WARN, "threads", "%s is no number of threads and ignored: %.40s",
             environment.wrong[i], environment.wrong_text[i]);
  cli->thread_limit = environment.thread_limit;
  if (common->threads != CLI_UNSET) {
    cli->threads = (int)common->threads;
    cli->threads_why = "--threads";
  } else if (environment.threads && cli->thread_limit && environment.threads > cli->thread_limit) {
    cli->threads = cli->thread_limit;
    cli->threads_why = "OMP_THREAD_LIMIT";
  } else if (environment.threads) {
    cli->threads = environment.threads;
    cli->threads_why = "OMP_NUM_THREADS";
  }
}

co_status cli_configure(cli_job *cli, const cli_common *common) {
  cli->common = common;
  cli->as_json = common->json;
  cli->log_as_json = common->log_format == 1;
  cli->colored = wants_color(common->color);
  cli->level = chosen_level(common);
  cli->attended = is_attended(cli);
  co_context_set_log(cli->ctx, cli->level, log_sink, cli);
  if (common->log_file) CO_RETURN_IF_FAILED(open_log_file(cli, common));
  choose_threads(cli, common);
  int mode = common->progress;
  if (mode == CO_PROGRESS_AUTO && common->quiet) mode = CO_PROGRESS_NONE;
  if (mode == CO_PROGRESS_NONE) return CO_OK;
  return co_progress_create(&cli->progress, cli->ctx, stderr, (co_progress_mode)mode);
}

// ---- errors ------------------------------------------------------------------------------------

static void print_error(FILE *out, const cli_job *cli, bool colored, const co_error *e) {
  char place[600] = "";
  int used = 0;
  if (e->file[0]) used = snprintf(place, sizeof place, "%s", e->file);
  if (e->file[0] && e->line)
    used += snprintf(place + used, sizeof place - (size_t)used, ":%ld", e->line);
  if (e->file[0] && e->line && e->column)
    snprintf(place + used, sizeof place - (size_t)used, ":%ld", e->column);
  const char *separator = *place ? ": " : "";
  if (cli->log_as_json) {
    char text[sizeof e->message + sizeof place + sizeof e->hint + 16];
    snprintf(text, sizeof text, "%s%s%s%s%s", place, separator, e->message,
             e->hint[0] ? "; hint: " : "", e->hint);
    write_line(out, cli, false, CO_LOG_ERROR, co_status_name(e->status), text);
    return;
  }
  fprintf(out, "%serror[%s]%s: %s%s%s\n", colored ? "\033[31m" : "", co_status_name(e->status),
          colored ? "\033[0m" : "", place, separator, e->message);
  if (e->hint[0]) fprintf(out, "  hint: %s\n", e->hint);
}

static void print_errors(const cli_job *cli) {
  if (cli->progress) co_progress_erase(cli->progress);
  for (int64_t i = 0; i < cli->problems.count; i++) {
    print_error(stderr, cli, cli->colored, &cli->problems.item[i]);
    if (cli->log_file) print_error(cli->log_file, cli, false, &cli->problems.item[i]);
  }
}

static void put_error(co_json *json, const co_error *e) {
  co_json_open(json, '{');
  co_json_key(json, "code");
  co_json_string(json, co_status_name(e->status));
  co_json_key(json, "exit");
  co_json_int(json, e->status);
  co_json_key(json, "message");
  co_json_string(json, e->message);
  co_json_key(json, "where");
  if (e->file[0]) {
    co_json_open(json, '{');
    co_json_key(json, "file");
    co_json_string(json, e->file);
    co_json_key(json, "line");
    co_json_int(json, e->line);
    co_json_key(json, "column");
    co_json_int(json, e->column);
    co_json_close(json);
  } else {
    co_json_null(json);
  }
  co_json_key(json, "hint");
  co_json_string(json, e->hint[0] ? e->hint : NULL);
  co_json_close(json);
}

// ---- stdout ------------------------------------------------------------------------------------

// {"ok":…,"verb":…,"exit":…[,"error":…,"errors":…], members of the result}
static co_status build_document(co_json *json, const cli_job *cli, co_status status,
                                int exit_code) {
  co_json_open(json, '{');
  co_json_key(json, "ok");
  co_json_bool(json, status == CO_OK);
  co_json_key(json, "verb");
  co_json_string(json, cli->verb ? cli->verb->name : NULL);
  co_json_key(json, "exit");
  co_json_int(json, exit_code);
  if (cli->problems.count) {
    co_json_key(json, "error");
    put_error(json, &cli->problems.item[0]);
    co_json_key(json, "errors");
    co_json_open(json, '[');
    for (int64_t i = 0; i < cli->problems.count; i++)
      put_error(json, &cli->problems.item[i]);
    co_json_close(json);
  }
  co_json_close(json);
  if (json->text.status != CO_OK) return json->text.status;
  // The members that the verb wrote stand in an object of their own, still open when it failed
  // half way: then they are left out.
  const co_json *result = &cli->json;
  bool whole = result->depth == 1 && result->text.status == CO_OK && result->text.length > 1;
  if (whole) {
    json->text.length--; // the bracket
    co_text_printf(&json->text, ",%s}", result->text.data + 1);
  }
  co_text_append(&json->text, "\n", 1);
  return json->text.status;
}

void cli_result_open(cli_job *cli) {
  cli->result = STDOUT_FILENO;
  int own = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
  if (own < 0) return; // no descriptor left: results go where libraries print
  if (dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
    close(own);
  else
    cli->result = own;
}

static int write_all(int descriptor, const char *bytes, size_t length) {
  while (length > 0) {
    ssize_t written = write(descriptor, bytes, length);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return errno;
    bytes += written;
    length -= (size_t)written;
  }
  return 0;
}

// A reader that went away (`| head`) needs no message.
static co_status write_stdout(const cli_job *cli, const char *bytes, size_t length) {
  int reason = write_all(cli->result, bytes, length);
  if (!reason) return CO_OK;
  co_fail_errno(CO_ERR_IO, reason, "cannot write to standard output");
  return reason == EPIPE ? CO_INTERRUPTED : CO_ERR_IO;
}

static co_status write_result(const cli_job *cli, co_status status, int exit_code) {
  if (!cli->as_json) return write_stdout(cli, cli->text.data, cli->text.length);
  if (cli->document) {
    co_status document = write_stdout(cli, cli->document, strlen(cli->document));
    return document == CO_OK ? write_stdout(cli, "\n", 1) : document;
  }
  co_json json;
  co_json_init(&json, cli->ctx, 0);
  co_status built = build_document(&json, cli, status, exit_code);
  static const char poor[] =
      "{\"ok\":false,\"verb\":null,\"exit\":7,\"error\":{\"code\":\"memory\","
      "\"exit\":7,\"message\":\"out of memory\",\"where\":null,"
      "\"hint\":null},\"errors\":[]}\n";
  co_status written = built == CO_OK ? write_stdout(cli, json.text.data, json.text.length)
                                     : write_stdout(cli, poor, sizeof poor - 1);
  co_json_free(&json);
  return written != CO_OK ? written : built;
}

// Makes sure that a failure has its error at the head of the list.
static void collect(cli_job *cli, co_status status) {
  if (status == CO_OK || status == CO_STOPPED || status == CO_INTERRUPTED) return;
  (void)co_diagnostics_lead(&cli->problems, status); // without memory there is no list either
}

static int exit_code_of(co_status status) {
  int received = *cli_stop_flag();
  return status == CO_INTERRUPTED ? 128 + (received ? received : SIGINT) : (int)status;
}

int cli_finish(cli_job *cli, co_status status) {
  // A verb that only collected problems has failed with the first of them.
  if (status == CO_OK) status = co_diagnostics_result(&cli->problems);
  collect(cli, status);
  if (cli->text.status != CO_OK && status == CO_OK) {
    status = cli->text.status;
    collect(cli, status);
  }
  int exit_code = exit_code_of(status);
  if (status != CO_OK && !cli->reader_gone) print_errors(cli);
  cli_signals_set_document(-1, NULL); // from here on the real one is written
  co_status written = write_result(cli, status, exit_code);
  if (written == CO_OK || status != CO_OK) return exit_code;
  if (written == CO_ERR_IO) print_error(stderr, cli, cli->colored, co_error_last());
  return written == CO_ERR_MEMORY ? CO_ERR_MEMORY : CO_ERR_IO;
}
