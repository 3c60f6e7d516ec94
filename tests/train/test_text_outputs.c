// SPDX-License-Identifier: Apache-2.0
// Texts that are written: their codes, what they are compared by, and that step by step is as all at once.
#include "training.h"

#include "host/eval/decoding.h"
#include "host/eval/opening.h"
#include "host/exec/program.h"
#include "models/feature.h"
#include "models/text_output.h"

enum { ROWS = 5, MOST = 12, EVENTS = 4 };

static const char *const learned[] = {"aé", "ba", "aé", "",
                                      "this_word_is_longer_than_there_is_room"
                                      "_for_it_in_any_vocabulary_of_words x"};

typedef struct rig {
  co_context *ctx;
  co_arena *arena;
  co_diagnostics problems;
  co_model *model;
  co_output_feature *output;
  co_backend *backend;
} rig;

static void open_inputs(rig *r, const char *inputs, const char *decoder) {
  static const co_column columns[] = {
      {.name = "x", .type = CO_COLUMN_NUMBER, .role = CO_ROLE_INPUT, .dtype = CO_F32},
      {.name = "s", .type = CO_COLUMN_TEXT, .role = CO_ROLE_INPUT, .dtype = CO_U8},
      {.name = "y", .type = CO_COLUMN_TEXT, .role = CO_ROLE_TARGET, .dtype = CO_U8}};
  static const co_schema schema = {.columns = (co_column *)columns, .column_count = 3};
  static const int64_t samples[] = {0, 1, 2, 3, 4};
  char text[400];
  co_node *config;
  memset(r, 0, sizeof *r);
  snprintf(text, sizeof text, "input_features: [%s]\noutput_features: [{name: y, decoder: {%s}}]",
           inputs, decoder);
  assert_int_equal(co_context_create(&r->ctx, NULL), CO_OK);
  assert_int_equal(co_arena_create(&r->arena, r->ctx), CO_OK);
  co_diagnostics_init(&r->problems, r->ctx);
  assert_int_equal(co_yaml_parse(&config, r->arena, "c", text, strlen(text), &r->problems), CO_OK);
  if (co_model_create(&r->model, r->ctx, config, &schema, &r->problems) != CO_OK)
    fail_msg("%s\n%s", text, co_error_last()->message);
  r->output = r->model->outputs;
  assert_int_equal(co_text_output_fit(r->ctx, r->output, learned, NULL, samples, 5), CO_OK);
  const co_backend_options options = {.threads = 1};
  assert_int_equal(co_cpu_backend_open(&r->backend, r->ctx, &options), CO_OK);
}

static void open_rig(rig *r, const char *decoder) {
  open_inputs(r, "{name: x}", decoder);
}

static void close_rig(rig *r) {
  r->backend->api->free(r->backend);
  co_model_free(r->model);
  co_diagnostics_free(&r->problems);
  co_arena_free(r->arena);
  assert_int_equal(co_alloc_get_stats(r->ctx).live_blocks, 0);
  co_context_free(r->ctx);
}

// Of a text (NULL: of the most frequent one) the codes, and what they say.
static void has_codes(const rig *r, const char *text, const int32_t *wanted, int64_t count,
                      const char *written) {
  int32_t codes[MOST + 1];
  float scores[MOST + 1];
  const int64_t width = r->output->width;
  if (text)
    assert_int_equal(co_text_output_encode(r->output->text, text, codes), count);
  else
    memcpy(codes, r->output->text->most_frequent->bytes, (size_t)width * sizeof *codes);
  for (int64_t i = 0; i < width; i++) {
    assert_int_equal(codes[i], i < count ? wanted[i] : CO_TEXT_NOTHING);
    scores[i] = (float)codes[i];
  }
  assert_string_equal(co_text_output_print(r->output->text, scores), written);
}

// In the order of their bytes: a 3, b 4, é … of what has been learned; blanks are characters.
static void test_characters(void **state) {
  (void)state;
  rig r;
  open_rig(&r, "max_length: 4, units: 3, min_frequency: 2, max_size: 5");
  // a 4 times, _ 10, o 4, é 2 and so on: the five most frequent are _ a e o r, whatever came first.
  const int64_t size = *(const int64_t *)r.output->text->size->bytes;
  assert_int_equal(size, 5);
  close_rig(&r);
  open_rig(&r, "max_length: 4, units: 3");
  const int32_t a = 3 + 2; // behind the blank and _
  has_codes(&r, "aé",
            (const int32_t[]){a, 3 + *(const int64_t *)r.output->text->size->bytes - 1, 1}, 3,
            "aé");
  has_codes(&r, "a", (const int32_t[]){a, 1}, 2, "a");
  has_codes(&r, "aaaa", (const int32_t[]){a, a, a, a, 1}, 5, "aaaa");
  has_codes(&r, "aaaaa", (const int32_t[]){a, a, a, a}, 4, "aaaa"); // longer: without an end
  has_codes(&r, "aZ", (const int32_t[]){a, 2, 1}, 3, "a");          // not seen, nor written
  has_codes(&r, "", (const int32_t[]){1}, 1, "");
  has_codes(&r, " a", (const int32_t[]){3, a, 1}, 3, " a");
  has_codes(&r, NULL,
            (const int32_t[]){a, 3 + *(const int64_t *)r.output->text->size->bytes - 1, 1}, 3,
            "aé");
  close_rig(&r);
}

static void test_words(void **state) {
  (void)state;
  rig r;
  open_rig(&r, "tokens: words, max_length: 3, units: 3, cell_type: lstm");
  has_codes(&r, "ba  aé\tx", (const int32_t[]){4, 3, 5, 1}, 4, "ba aé x");
  has_codes(&r, "b", (const int32_t[]){2, 1}, 2, "");
  has_codes(&r, learned[4], (const int32_t[]){2, 5, 1}, 3, "");
  close_rig(&r);
}

// As a damaged file may have it.
static void test_sound(void **state) {
  (void)state;
  rig r;
  open_rig(&r, "max_length: 4, units: 3");
  const co_text_output *text = r.output->text;
  char *tokens = text->vocabulary->bytes;
  int64_t *size = text->size->bytes;
  assert_true(co_text_output_is_sound(text));
  ++*size;
  assert_false(co_text_output_is_sound(text)); // an empty one
  *size = text->max_size + 1;
  assert_false(co_text_output_is_sound(text));
  *size = 2;
  const char first = tokens[0];
  tokens[0] = tokens[text->token_bytes];
  assert_false(co_text_output_is_sound(text)); // twice the same
  tokens[0] = first;
  assert_true(co_text_output_is_sound(text));
  memset(tokens, 255, (size_t)text->token_bytes);
  assert_false(co_text_output_is_sound(text)); // without an end
  close_rig(&r);
}

// As those of catalogues: logits of a step take 32 MiB at most.
static void test_rows_at_once(void **state) {
  (void)state;
  rig r;
  open_rig(&r, "max_size: 200000, max_length: 4, units: 3");
  assert_int_equal(co_bound_rows(r.model, 1024), (32 << 20) / 4 / 200003);
  close_rig(&r);
  open_rig(&r, "max_length: 4, units: 3");
  assert_int_equal(co_bound_rows(r.model, 1024), 1024);
  close_rig(&r);
}

static void matches(const float *codes, const int32_t *target, int64_t length, bool exact,
                    int edits) {
  int64_t room[2 * 8];
  const co_text_match match = co_text_match_of(codes, 5, target, length, room);
  assert_int_equal(match.exact, exact);
  assert_int_equal(match.edits, edits);
  assert_int_equal(match.length, length);
}

static void test_matches(void **state) {
  (void)state;
  const int32_t five[5] = {3, 4, 5, 6, 7};
  matches((const float[]){3, 4, 5, 1, 0}, five, 3, true, 0);
  matches((const float[]){1, 0, 0, 0, 0}, five, 3, false, 3);
  matches((const float[]){1, 0, 0, 0, 0}, five, 0, true, 0);
  matches((const float[]){4, 5, 3, 1, 0}, five, 3, false, 2);
  matches((const float[]){3, 5, 5, 5, 1}, five, 2, false, 3);
  matches((const float[]){3, 4, 5, 6, 1}, five, 4, true, 0);
  matches((const float[]){3, 4, 5, 6, 0}, five, 4, false, 0); // it would write on
  matches((const float[]){3, 4, 5, 6, 1}, five, 5, false, 1); // there is more of it
  matches((const float[]){5, 6, 7, 1, 0}, five, 5, false, 2);
}

// Words that are not in the vocabulary are no match of each other, but of themselves.
static void test_told_apart(void **state) {
  (void)state;
  rig r;
  int32_t codes[8];
  open_rig(&r, "tokens: words, max_length: 2, units: 3");
  assert_int_equal(co_text_output_tell_apart(r.output->text, "one ba other  one", 8, codes), 4);
  assert_int_equal(codes[1], 4);
  assert_int_equal(codes[0], codes[3]);
  assert_int_not_equal(codes[0], codes[2]);
  for (int k = 0; k < 4; k += 2)
    assert_true(codes[k] >= 1 << 21 && codes[k] < 1 << 24);
  assert_int_equal(co_text_output_tell_apart(r.output->text, "one ba other  one", 3, codes), 3);
  assert_int_equal(co_text_output_tell_apart(r.output->text, "", 8, codes), 0);
  close_rig(&r);
}

// ---- step by step ------------------------------------------------------------------------------

// What is read of rows; of a memory, where there is one, events of random numbers of each.
typedef struct reading {
  float context[ROWS * 16], memory[ROWS * EVENTS * 16];
  int32_t lengths[ROWS];
} reading;

static co_program *make_program(const rig *r, const co_graph *graph, int64_t rows) {
  const co_shape_class shape = {.rows = rows, .t = {EVENTS}};
  const co_program_options options = {.evaluation_classes = &shape,
                                      .evaluation_class_count = 1,
                                      .evaluation_mode = CO_MODE_INFER,
                                      .real = CO_F32};
  co_program *program;
  if (co_program_create(&program, graph, r->backend, &options) != CO_OK)
    fail_msg("%s", co_error_last()->message);
  assert_int_equal(co_store_initialize(co_program_store(program), 5), CO_OK); // by names
  return program;
}

static void run_program(co_program *program, const void *const *inputs, int64_t output,
                        float *out) {
  assert_int_equal(co_program_evaluate(program, inputs), CO_OK);
  assert_int_equal(co_executor_read_output(co_program_evaluator(program), output, out), CO_OK);
}

// The network from what the decoder reads to its logits, of whole texts.
static co_graph *whole(const rig *r) {
  const co_graph *network = r->model->network;
  const co_text_output *text = r->output->text;
  const co_value from[] = {
      network->outputs[r->output->prediction].value, co_graph_find_input(network, "y.previous"),
      co_graph_find_input(network, "y.length"), text->memory[0].value, text->memory[0].lengths};
  const co_value to = network->losses[r->output->loss_index].prediction;
  co_graph *graph;
  assert_int_equal(co_graph_part(&graph, network, from, text->memory_count ? 5 : 3, &to, 1, false),
                   CO_OK);
  return graph;
}

static void fill(float *values, int64_t count) {
  uint32_t state = 9;
  for (int64_t i = 0; i < count; i++) {
    state = state * 1664525 + 1013904223;
    values[i] = (float)(state >> 8) / (1 << 23) - 1;
  }
}

// Logits of the written text's tokens, all at once.
static void read_at_once(const rig *r, const reading *read, const float *codes, float *logits) {
  const int64_t width = r->output->width;
  int32_t previous[ROWS * (MOST + 1)], length[ROWS];
  for (int64_t i = 0; i < ROWS; i++) {
    length[i] = (int32_t)width;
    previous[i * width] = CO_TEXT_NOTHING;
    for (int64_t k = 1; k < width; k++)
      previous[i * width + k] = (int32_t)codes[i * width + k - 1];
  }
  co_graph *graph = whole(r);
  co_program *program = make_program(r, graph, ROWS);
  run_program(program,
              (const void *[]){read->context, previous, length, read->memory, read->lengths}, 0,
              logits);
  co_program_free(program);
  co_graph_free(graph);
}

// What the next token is chosen by becomes an output behind those of CO_DECODING_OUTPUTS.
static void output_logits(co_graph *graph) {
  const co_graph_op *op = graph->ops;
  while (op->op != CO_OP_ARG_MAX && op < graph->ops + graph->op_count - 1)
    op++;
  assert_int_equal(op->op, CO_OP_ARG_MAX);
  assert_int_equal(co_graph_add_output(graph, "logits", op->in[CO_ARG_MAX_x]), CO_OK);
}

// The same, a step at a time, by the state that each leaves.
static void read_steps(const rig *r, const reading *read, const float *codes, int64_t classes,
                       float *logits) {
  const int64_t width = r->output->width, units = co_text_output_state(r->output->text);
  float *state = calloc((size_t)(ROWS * units), sizeof *state);
  float *out = malloc((size_t)(ROWS * classes) * sizeof *out);
  int32_t token[ROWS] = {0};
  co_graph *graph;
  assert_int_equal(co_model_create_decoding(&graph, r->model, r->output), CO_OK);
  output_logits(graph);
  co_program *program = make_program(r, graph, ROWS);
  for (int64_t k = 0; k < width; k++) {
    const void *const inputs[] = {read->context, state, token, read->memory, read->lengths};
    run_program(program, inputs, CO_DECODING_OUTPUTS, out);
    assert_int_equal(
        co_executor_read_output(co_program_evaluator(program), CO_DECODING_next_state, state),
        CO_OK);
    for (int64_t i = 0; i < ROWS; i++) {
      memcpy(logits + (i * width + k) * classes, out + i * classes,
             (size_t)classes * sizeof *logits);
      token[i] = (int32_t)codes[i * width + k];
    }
  }
  co_program_free(program);
  co_graph_free(graph);
  free(state);
  free(out);
}

// What is written of these rows, so many at a time.
static void write_rows(const rig *r, const reading *read, int64_t count, int64_t at_once,
                       float *codes) {
  const int64_t width = r->output->width, units = r->output->text->units;
  co_program *program = make_program(r, r->model->network, at_once);
  co_decoding *decoding;
  assert_int_equal(
      co_decoding_create(&decoding, r->model, r->output, co_program_store(program), at_once),
      CO_OK);
  for (int64_t i = 0; i < count; i += at_once) {
    const int64_t rows = count - i < at_once ? count - i : at_once;
    const float *written;
    const co_decoding_read part = {.count = rows,
                                   .context = read->context + i * units,
                                   .memory = {read->memory + i * EVENTS * units},
                                   .lengths = {read->lengths + i},
                                   .events = {EVENTS}};
    assert_int_equal(co_decoding_run(decoding, &part, &written), CO_OK);
    memcpy(codes + i * width, written, (size_t)(rows * width) * sizeof *codes);
  }
  co_decoding_free(decoding);
  co_program_free(program);
}

// As fitted: the longest sequence has more events than any of these rows.
static void set_lengths(const rig *r) {
  int64_t *lengths = r->model->lengths ? r->model->lengths->bytes : NULL;
  for (int64_t i = 0; lengths && i < CO_MAX_LENGTHS; i++)
    lengths[i * CO_MAX_EVENT_TABLES] = EVENTS + 3;
}

static int32_t likeliest(const rig *r, const float *logits) {
  int32_t best = CO_TEXT_END;
  for (int32_t i = 0; i < co_text_output_classes(r->output->text); i++)
    if (co_text_output_writes(r->output->text, i) && logits[i] > logits[best]) best = i;
  return best;
}

static void steps_are_the_whole(const char *inputs, const char *decoder) {
  rig r;
  reading read = {.lengths = {EVENTS, 1, 0, 3, 2}};
  open_inputs(&r, inputs, decoder);
  set_lengths(&r);
  const int64_t width = r.output->width, units = r.output->text->units;
  const int64_t classes = CO_TEXT_FIRST + r.output->text->max_size;
  const size_t logits = (size_t)(ROWS * width * classes);
  float codes[ROWS * (MOST + 1)], apart[ROWS * (MOST + 1)];
  float *at_once = malloc(logits * sizeof *at_once), *steps = malloc(logits * sizeof *steps);
  int64_t tokens = 0;
  fill(read.context, ROWS * units);
  fill(read.memory, ROWS * EVENTS * units);
  write_rows(&r, &read, ROWS, ROWS, codes);
  read_at_once(&r, &read, codes, at_once);
  read_steps(&r, &read, codes, classes, steps);
  for (size_t i = 0; i < logits; i++)
    if (fabsf(at_once[i] - steps[i]) > 2e-6f)
      fail_msg("%g, not %g", (double)steps[i], (double)at_once[i]);
  for (int64_t i = 0; i < ROWS; i++)
    for (int64_t k = 0; k < width; k++) {
      const float *row = at_once + (i * width + k) * classes;
      const int32_t wanted = likeliest(&r, row);
      if (codes[i * width + k] == CO_TEXT_NOTHING) {
        assert_true(k == width - 1 && wanted != CO_TEXT_END); // there is no room for more
        break;
      }
      assert_int_equal((int)codes[i * width + k], wanted);
      tokens++;
      if (wanted == CO_TEXT_END) break;
    }
  assert_in_range(tokens, ROWS * 2, ROWS * width);
  // Neither the size of the batch nor the neighbours matter.
  write_rows(&r, &read, ROWS, 2, apart);
  assert_memory_equal(codes, apart, (size_t)(ROWS * width) * sizeof *codes);
  free(at_once);
  free(steps);
  close_rig(&r);
}

static void test_gru(void **state) {
  (void)state;
  steps_are_the_whole("{name: x}", "units: 16, embedding_size: 7, max_length: 12");
}

static void test_lstm(void **state) {
  (void)state;
  steps_are_the_whole("{name: x}", "cell_type: lstm, units: 9, embedding_size: 5, max_length: 8");
}

static void test_attention(void **state) {
  (void)state;
  steps_are_the_whole("{name: s, type: text_sequence, encoder: {type: rnn, units: 3}}",
                      "units: 16, embedding_size: 7, max_length: 12, attention: true");
  steps_are_the_whole(
      "{name: x}, {name: s, type: text_sequence, encoder: {type: transformer, units: 4}}",
      "cell_type: lstm, units: 9, embedding_size: 5, max_length: 8, attention: s");
  steps_are_the_whole("{name: s, type: text_sequence, encoder: {type: bag, pooling: attention}}",
                      "units: 16, embedding_size: 7, max_length: 12, attention: true");
}

// What is written hangs on what is attended to, and on no event behind a row's last.
static void test_attended_events(void **state) {
  (void)state;
  rig r;
  reading read = {.lengths = {EVENTS, 1, 0, 3, 2}};
  open_inputs(&r, "{name: s, type: text_sequence, encoder: {type: rnn, bidirectional: true}}",
              "units: 16, embedding_size: 7, max_length: 1, attention: true");
  const int64_t logits = ROWS * r.output->width * co_text_output_classes(r.output->text);
  const float codes[ROWS * 2] = {0};
  float *before = malloc((size_t)logits * sizeof *before),
        *after = malloc((size_t)logits * sizeof *after);
  fill(read.context, ROWS * 16);
  fill(read.memory, ROWS * EVENTS * 16);
  read_at_once(&r, &read, codes, before);
  for (int64_t i = 0; i < ROWS; i++) // of each row from its length on
    for (int64_t k = read.lengths[i] * 16; k < EVENTS * 16; k++)
      read.memory[i * EVENTS * 16 + k] += 100;
  read_at_once(&r, &read, codes, after);
  assert_memory_equal(before, after, (size_t)logits * sizeof *before);
  read.memory[0] += 1; // of the first row's first event
  read_at_once(&r, &read, codes, after);
  assert_memory_not_equal(before, after, (size_t)(logits / ROWS) * sizeof *before);
  assert_memory_equal(before + logits / ROWS, after + logits / ROWS,
                      (size_t)(logits - logits / ROWS) * sizeof *before);
  free(before);
  free(after);
  close_rig(&r);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TRAINING_TEST(test_characters),   TRAINING_TEST(test_words),
      TRAINING_TEST(test_matches),      TRAINING_TEST(test_told_apart),
      TRAINING_TEST(test_rows_at_once), TRAINING_TEST(test_sound),
      TRAINING_TEST(test_gru),          TRAINING_TEST(test_lstm),
      TRAINING_TEST(test_attention),    TRAINING_TEST(test_attended_events)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
