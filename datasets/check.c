// SPDX-License-Identifier: Apache-2.0
#include "datasets/check.h"

#include <stdio.h>
#include <string.h>

#include "datasets/look_alikes.h"

enum {
  FOLDS = 5,         // of the rates of categories
  MOST_CLASSES = 20, // of a target that are set against the rest
  TEXT = 512
};

typedef struct check {
  co_context *ctx;
  co_arena *arena;
  co_dataset *dataset;
  const co_schema *schema;
  const volatile int *stop;
  co_findings *out;
  int64_t capacity;
  int64_t *rows; // training rows that columns are judged by
  int64_t count;
  double *values, *scratch; // 2 and 1 times `count`
} check;

const char *co_severity_name(co_severity severity) {
  return severity == CO_SEVERITY_ERROR ? "error" : "warning";
}

// The message is copied, the way out is a literal or the arena's.
static co_status find(check *k, const char *id, co_severity severity, const char *column,
                      int64_t rows, const char *message, const char *way_out) {
  if (k->out->count == k->capacity) {
    int64_t capacity = k->capacity ? 2 * k->capacity : 16;
    co_finding *grown = co_arena_alloc(k->arena, (size_t)capacity, sizeof *grown);
    if (!grown) return CO_ERR_MEMORY;
    if (k->out->count) memcpy(grown, k->out->items, (size_t)k->out->count * sizeof *grown);
    k->out->items = grown;
    k->capacity = capacity;
  }
  char *text = co_arena_strdup(k->arena, message);
  if (!text || !way_out) return CO_ERR_MEMORY;
  k->out->items[k->out->count++] = (co_finding){id, severity, column, rows, text, way_out};
  return CO_OK;
}

static char *leave_out(check *k, const char *column) {
  return co_arena_format(
      k->arena, "leave it out: import with --ignore %s, or exclude it in the config", column);
}

// ---- rows across splits ------------------------------------------------------------------------

// Of hashes whose two lowest bits are the split: how many rows of validation and test have a hash
// that a training row has as well.
typedef struct shared_rows {
  int64_t validation, test;
} shared_rows;

enum { SPLIT_BITS = 2 };

static shared_rows count_shared(uint64_t *hashes, uint64_t *scratch, int64_t count) {
  shared_rows shared = {0, 0};
  co_sort_u64(hashes, scratch, count);
  for (int64_t i = 0, end; i < count; i = end) {
    int64_t of_split[1 << SPLIT_BITS] = {0};
    for (end = i; end < count && hashes[end] >> SPLIT_BITS == hashes[i] >> SPLIT_BITS; end++)
      of_split[hashes[end] & 3]++;
    if (!of_split[CO_SPLIT_TRAIN]) continue;
    shared.validation += of_split[CO_SPLIT_VALIDATION];
    shared.test += of_split[CO_SPLIT_TEST];
  }
  return shared;
}

static void mark_splits(check *k, uint64_t *hashes) {
  for (int s = 0; s < CO_SPLIT_COUNT; s++) {
    const int64_t *rows;
    int64_t count = 0;
    (void)co_dataset_split(k->dataset, (co_split)s, &rows, &count); // there are no others
    for (int64_t i = 0; i < count; i++)
      hashes[rows[i]] = hashes[rows[i]] >> SPLIT_BITS << SPLIT_BITS | (uint64_t)s;
  }
}

// Whether the samples of a split all have later cut-offs than those of training: then a customer in
// both is meant, and his training samples tell what was known of him before.
static bool is_later(check *k, co_split split) {
  const int64_t *as_of = co_dataset_as_of(k->dataset), *rows;
  int64_t last = INT64_MIN, next = INT64_MAX, count = 0;
  if (!as_of) return false;
  (void)co_dataset_split(k->dataset, CO_SPLIT_TRAIN, &rows, &count); // there is one
  for (int64_t i = 0; i < count; i++)
    if (as_of[rows[i]] > last) last = as_of[rows[i]];
  (void)co_dataset_split(k->dataset, split, &rows, &count);
  for (int64_t i = 0; i < count; i++)
    if (as_of[rows[i]] < next) next = as_of[rows[i]];
  return last < next;
}

static co_status find_shared(check *k, uint64_t *hashes, const char *id, co_severity severity,
                             const char *column, const char *what, const char *way_out) {
  char text[TEXT];
  bool of_customers = severity == CO_SEVERITY_ERROR; // not of copies, which none may be
  int64_t rows = co_dataset_rows(k->dataset);
  mark_splits(k, hashes);
  shared_rows shared = count_shared(hashes, hashes + rows, rows);
  if (of_customers && is_later(k, CO_SPLIT_VALIDATION)) shared.validation = 0;
  if (of_customers && is_later(k, CO_SPLIT_TEST)) shared.test = 0;
  if (!shared.validation && !shared.test) return CO_OK;
  snprintf(text, sizeof text, "%lld validation and %lld test rows have %s of a training row",
           (long long)shared.validation, (long long)shared.test, what);
  return find(k, id, severity, column, shared.validation + shared.test, text, way_out);
}

static co_status hash_keys(check *k, uint64_t *hashes) {
  char key[CO_DATASET_KEY_MAX + 1];
  for (int64_t i = 0; i < co_dataset_rows(k->dataset); i++) {
    CO_RETURN_IF_FAILED(co_dataset_key(k->dataset, i, key, sizeof key));
    hashes[i] = co_mix_bytes(0, key, strlen(key));
  }
  return CO_OK;
}

static co_status check_keys(check *k, uint64_t *hashes) {
  const co_column *key = co_dataset_key_column(k->dataset);
  if (!key) return CO_OK;
  CO_RETURN_IF_FAILED(hash_keys(k, hashes));
  return find_shared(
      k, hashes, "key_across_splits", CO_SEVERITY_ERROR, key->name, "the key",
      "give each key one split (a raw table: --split hash:KEY), or split by time, with cut-offs");
}

// Samples of one row of the entity, which has no key that would say so.
static co_status check_entities(check *k, uint64_t *hashes) {
  const co_table *entity = &k->schema->tables[0];
  const co_column *key = co_dataset_key_column(k->dataset);
  const int64_t *index;
  CO_RETURN_IF_FAILED(co_dataset_index(k->dataset, entity->name, &index));
  if (!index) return CO_OK;
  if (key && !strcmp(key->table, entity->name)) return CO_OK; // its keys tell the same
  for (int64_t i = 0; i < co_dataset_rows(k->dataset); i++)
    hashes[i] = co_mix64(0, (uint64_t)index[i]);
  return find_shared(k, hashes, "entity_across_splits", CO_SEVERITY_ERROR, NULL, "the entity's row",
                     "give all samples of a row of the entity one split, or "
                     "split by their cut-offs");
}

static uint64_t hash_value(const co_view *view, int64_t row) {
  if (view->texts) return co_mix_bytes(0, view->texts[row], strlen(view->texts[row]));
  return view->bytes ? co_mix_bytes(0, view->bytes + (size_t)row * view->row_bytes, view->row_bytes)
         : view->codes ? (uint64_t)(uint32_t)view->codes[row]
                       : co_double_bits(co_numbers_at(&view->numbers, row));
}

static co_status hash_column(check *k, const co_column *column, uint64_t *hashes) {
  co_view view;
  const int64_t *begin = NULL, *end = NULL;
  CO_RETURN_IF_FAILED(co_view_open(&view, k->dataset, column));
  const co_table *table = co_schema_table(k->schema, column->table);
  bool events = table && table->kind == CO_TABLE_EVENTS;
  if (events) CO_RETURN_IF_FAILED(co_dataset_ranges(k->dataset, table->name, &begin, &end));
  for (int64_t i = 0; i < co_dataset_rows(k->dataset); i++) {
    if (!events) {
      hashes[i] = co_mix64(hashes[i], hash_value(&view, co_view_row(&view, i)));
      continue;
    }
    for (int64_t row = begin[i]; row < end[i]; row++)
      hashes[i] = co_mix64(hashes[i], hash_value(&view, row));
    hashes[i] = co_mix64(hashes[i], (uint64_t)(end[i] - begin[i]));
  }
  return CO_OK;
}

// Of events: those without a history are all alike.
static const char *keep_copies(const check *k) {
  for (int64_t i = 0; i < k->schema->table_count; i++)
    if (k->schema->tables[i].kind == CO_TABLE_EVENTS)
      return "look whether they are copies: customers without events are alike, too, and with few "
             "columns of few values equal rows may well be different customers";
  return co_dataset_key_column(k->dataset)
             ? "keep copies in one split: import without --key splits by the row's content; with "
               "few columns of few values, equal rows may well be different customers"
             : "keep copies in one split; with few columns of few values, equal rows may well be "
               "different customers";
}

static co_status check_duplicates(check *k, uint64_t *hashes) {
  memset(hashes, 0, (size_t)co_dataset_rows(k->dataset) * sizeof *hashes);
  for (int64_t i = 0; i < k->schema->column_count; i++)
    if (k->schema->columns[i].role == CO_ROLE_INPUT)
      CO_RETURN_IF_FAILED(hash_column(k, &k->schema->columns[i], hashes));
  return find_shared(k, hashes, "duplicates_across_splits", CO_SEVERITY_WARNING, NULL, "all inputs",
                     keep_copies(k));
}

// The sample's key, else its number; the arena's.
static const char *name_of(check *k, int64_t sample) {
  char key[CO_DATASET_KEY_MAX + 1];
  if (!co_dataset_key_column(k->dataset))
    return co_arena_format(k->arena, "row %lld", (long long)sample);
  if (co_dataset_key(k->dataset, sample, key, sizeof key) != CO_OK) return NULL;
  return co_arena_format(k->arena, "'%s'", key);
}

static co_status check_look_alikes(check *k, const co_column *column) {
  co_view view;
  co_look_alikes found;
  CO_RETURN_IF_FAILED(co_view_open(&view, k->dataset, column));
  CO_RETURN_IF_FAILED(co_look_alikes_find(&found, k->ctx, k->dataset, &view, k->stop));
  if (found.sample < 0) return CO_OK;
  const char *sample = name_of(k, found.sample), *like = name_of(k, found.like);
  if (!sample || !like) return CO_ERR_MEMORY;
  char *text = co_arena_format(
      k->arena, "%lld validation and %lld test images are nearly a training image, as %s is %s",
      (long long)found.count[CO_SPLIT_VALIDATION], (long long)found.count[CO_SPLIT_TEST], sample,
      like);
  return find(k, "near_duplicates_across_splits", CO_SEVERITY_WARNING, column->name,
              found.count[CO_SPLIT_VALIDATION] + found.count[CO_SPLIT_TEST], text ? text : "",
              "look at them; keep the pictures of one product in one split");
}

static co_status check_images(check *k) {
  for (int64_t i = 0; i < k->schema->column_count; i++) {
    const co_column *c = &k->schema->columns[i];
    const co_table *table = co_schema_table(k->schema, c->table);
    if (c->type == CO_COLUMN_IMAGE && c->role == CO_ROLE_INPUT &&
        !(table && table->kind == CO_TABLE_EVENTS))
      CO_RETURN_IF_FAILED(check_look_alikes(k, c));
  }
  return CO_OK;
}

static co_status check_rows(check *k) {
  size_t rows = (size_t)co_dataset_rows(k->dataset);
  uint64_t *hashes = co_alloc(k->ctx, 2 * rows * sizeof *hashes);
  if (!hashes) return CO_ERR_MEMORY;
  co_status status = check_keys(k, hashes);
  if (status == CO_OK) status = check_entities(k, hashes);
  if (status == CO_OK) status = check_duplicates(k, hashes);
  co_free(k->ctx, hashes);
  return status;
}

// Events whose order to the sample's cut-off nobody can tell. (Where both times are known, opening
// has refused events that come too late.)
static co_status check_times(check *k) {
  char text[TEXT];
  for (int64_t i = 0; i < k->schema->table_count; i++) {
    const co_table *table = &k->schema->tables[i];
    if (table->kind != CO_TABLE_EVENTS) continue;
    if (table->time && co_dataset_as_of(k->dataset)) continue;
    snprintf(text, sizeof text,
             "whether a sample sees events '%.100s' after its cut-off cannot be "
             "checked: there is no %s",
             table->name, table->time ? "/samples/as_of" : "attribute 'time'");
    CO_RETURN_IF_FAILED(
        find(k, "events_unchecked", CO_SEVERITY_WARNING, NULL, table->rows, text,
             "store the events' times and the samples' as_of (datasets/README.md)"));
  }
  return CO_OK;
}

// ---- columns by themselves ---------------------------------------------------------------------

typedef struct column_facts {
  int64_t known, missing, different;
  bool whole, ascending; // numbers: no fractions; each row's above the one before
  double min, max;
} column_facts;

static column_facts look_at(check *k, const co_view *view) {
  column_facts facts = {.whole = true, .ascending = true};
  double before = -INFINITY;
  for (int64_t i = 0; i < k->count; i++) {
    double value = co_view_at(view, k->rows[i]);
    if (isnan(value)) {
      facts.missing++;
      continue;
    }
    facts.whole &= value == floor(value);
    facts.ascending &= value > before;
    before = value;
    k->values[facts.known++] = value;
  }
  co_sort_doubles(k->values, k->scratch, facts.known);
  for (int64_t i = 0; i < facts.known; i++)
    facts.different += !i || k->values[i] != k->values[i - 1];
  if (facts.known) {
    facts.min = k->values[0];
    facts.max = k->values[facts.known - 1];
  }
  return facts;
}

// Texts that hardly ever repeat; whole numbers that do not, and count rows or rise with them.
static bool is_identifier(const co_column *column, const column_facts *f) {
  enum { FEWEST = 20 };
  if (f->known < FEWEST) return false;
  if (column->type == CO_COLUMN_CATEGORY) return (double)f->different >= 0.95 * (double)f->known;
  bool counts = f->max - f->min < 1.5 * (double)f->known;
  return (column->type == CO_COLUMN_NUMBER || column->type == CO_COLUMN_DATE) && f->whole &&
         f->different == f->known && (f->ascending || counts);
}

static co_status check_alone(check *k, const co_view *view, int64_t *missing_rows) {
  char text[TEXT];
  const char *name = view->column->name;
  column_facts f = look_at(k, view);
  *missing_rows = f.missing;
  double missing = 100.0 * (double)f.missing / (double)k->count;
  if (f.different <= 1) {
    snprintf(text, sizeof text,
             f.known ? "has one value in all %lld training rows%s"
                     : "has no value in all %lld training rows%s",
             (long long)k->count, f.known && f.missing ? " that have one" : "");
    // Whether there is a value may tell something even then.
    if (!f.known || !f.missing)
      return find(k, "constant_column", CO_SEVERITY_WARNING, name, k->count, text,
                  leave_out(k, name));
  }
  if (missing > 95) {
    snprintf(text, sizeof text, "is missing in %.1f %% of the training rows", missing);
    return find(k, "mostly_missing", CO_SEVERITY_WARNING, name, f.missing, text,
                leave_out(k, name));
  }
  if (!is_identifier(view->column, &f)) return CO_OK;
  snprintf(text, sizeof text, "looks like an identifier: %lld different values in %lld rows%s",
           (long long)f.different, (long long)f.known,
           view->column->type == CO_COLUMN_CATEGORY ? ""
           : f.ascending                            ? ", rising from row to row"
                                                    : ", whole numbers without gaps");
  char *way_out = co_arena_format(
      k->arena, "import with --key %s if it names rows, else with --ignore %s", name, name);
  return find(k, "identifier_like", CO_SEVERITY_WARNING, name, f.known, text, way_out);
}

// ---- columns and targets -----------------------------------------------------------------------

// A question with two answers that a target is made into: its class `code` or not; of a number, above
// `threshold` or not.
typedef struct question {
  co_view view;
  int64_t code; // -1 = a number
  double threshold;
  char what[160]; // "'Yes' of Churn"
} question;

// 1, 0; -1 = missing
static int answer(const question *q, int64_t sample) {
  double value = co_view_at(&q->view, sample);
  if (isnan(value)) return -1;
  return q->code < 0 ? value > q->threshold : value == (double)q->code;
}

typedef struct sides {
  double *positive, *negative; // values
  int64_t positives, negatives;
} sides;

static double auc_of(check *k, sides *s) {
  co_sort_doubles(s->positive, k->scratch, s->positives);
  co_sort_doubles(s->negative, k->scratch, s->negatives);
  return co_sorted_auc(s->positive, s->positives, s->negative, s->negatives);
}

// A value for each row that has one, on the side of its answer.
static void put(sides *s, int side, double value) {
  if (side)
    s->positive[s->positives++] = value;
  else
    s->negative[s->negatives++] = value;
}

static void take_numbers(check *k, const co_view *view, const question *q, sides *s) {
  for (int64_t i = 0; i < k->count; i++) {
    int side = answer(q, k->rows[i]);
    double value = co_view_at(view, k->rows[i]);
    if (side >= 0 && !isnan(value)) put(s, side, value);
  }
}

// Rows of a class and, of these, positives, by fold.
typedef struct class_counts {
  int64_t rows[FOLDS], positives[FOLDS];
} class_counts;

static int fold_of(int64_t sample) {
  return (int)(co_mix64(1, (uint64_t)sample) % FOLDS);
}

// The rate of the answer 1 among rows of the same class in other folds, drawn a little towards the
// rate of all: so a class that occurs once tells nothing.
static co_status take_rates(check *k, const co_view *view, const question *q, sides *s) {
  class_counts *counts =
      co_alloc_zero(k->ctx, (size_t)view->column->category_count + 1, sizeof *counts);
  if (!counts) return CO_ERR_MEMORY;
  int64_t all = 0, yes = 0;
  for (int64_t i = 0; i < k->count; i++) {
    int side = answer(q, k->rows[i]);
    int32_t code = view->codes[co_view_row(view, k->rows[i])];
    if (side < 0 || code < 0) continue;
    counts[code].rows[fold_of(k->rows[i])]++;
    counts[code].positives[fold_of(k->rows[i])] += side;
    all++;
    yes += side;
  }
  for (int64_t i = 0; i < k->count; i++) {
    int side = answer(q, k->rows[i]), fold = fold_of(k->rows[i]);
    int32_t code = view->codes[co_view_row(view, k->rows[i])];
    if (side < 0 || code < 0) continue;
    int64_t rows = 0, positives = 0;
    for (int f = 0; f < FOLDS; f++) {
      rows += f == fold ? 0 : counts[code].rows[f];
      positives += f == fold ? 0 : counts[code].positives[f];
    }
    put(s, side, ((double)positives + (double)yes / (double)all) / ((double)rows + 1));
  }
  co_free(k->ctx, counts);
  return CO_OK;
}

static co_status check_leak(check *k, const co_view *view, const question *q) {
  char text[TEXT];
  if (view->texts) return CO_OK;
  sides s = {.positive = k->values, .negative = k->values + k->count};
  if (view->codes)
    CO_RETURN_IF_FAILED(take_rates(k, view, q, &s));
  else
    take_numbers(k, view, q, &s);
  if (s.positives < CO_CHECK_LEAST || s.negatives < CO_CHECK_LEAST) return CO_OK;
  double auc = auc_of(k, &s);
  if (!view->codes && auc < 0.5) auc = 1 - auc; // rates have a direction of their own
  if (auc <= CO_CHECK_AUC) return CO_OK;
  snprintf(text, sizeof text, "alone it tells %s from the rest with a ROC AUC of %.4f", q->what,
           auc);
  char *way_out = co_arena_format(k->arena,
                                  "if it is not known when customers are scored, import with "
                                  "--ignore %s",
                                  view->column->name);
  return find(k, "target_leak", CO_SEVERITY_ERROR, view->column->name, s.positives + s.negatives,
              text, way_out);
}

// Two shares differ by more than five standard errors, and one is half as large again.
static bool differ(double a, double of_a, double b, double of_b) {
  double p = a / of_a, q = b / of_b, both = (a + b) / (of_a + of_b);
  double error = sqrt(both * (1 - both) * (1 / of_a + 1 / of_b));
  return fabs(p - q) > 5 * error && fmax(p, q) > 1.5 * fmin(p, q);
}

static co_status check_missing(check *k, const co_view *view, const question *q) {
  char text[TEXT];
  double rows[2] = {0, 0}, yes[2] = {0, 0}; // of known values, of missing ones
  for (int64_t i = 0; i < k->count; i++) {
    int side = answer(q, k->rows[i]);
    int missing = isnan(co_view_at(view, k->rows[i]));
    rows[missing] += side >= 0;
    yes[missing] += side == 1;
  }
  if (rows[0] < CO_CHECK_LEAST || rows[1] < CO_CHECK_LEAST) return CO_OK;
  if (!differ(yes[0], rows[0], yes[1], rows[1])) return CO_OK;
  snprintf(text, sizeof text,
           "whether it is missing tells of the target: %s are %.1f %% of the rows "
           "without a value and %.1f %% of those with one",
           q->what, 100 * yes[1] / rows[1], 100 * yes[0] / rows[0]);
  char *way_out = co_arena_format(
      k->arena, "make sure that it is missing before the target is known, else --ignore %s",
      view->column->name);
  return find(k, "missing_tells_target", CO_SEVERITY_WARNING, view->column->name, (int64_t)rows[1],
              text, way_out);
}

// Asks about each input until one answer is a finding.
static co_status ask(check *k, const co_view *view, int64_t missing, const question *questions,
                     int count) {
  int64_t before = k->out->count;
  for (int i = 0; i < count && k->out->count == before; i++)
    CO_RETURN_IF_FAILED(check_leak(k, view, &questions[i]));
  for (int i = 0; i < count && missing && k->out->count == before; i++)
    CO_RETURN_IF_FAILED(check_missing(k, view, &questions[i]));
  return CO_OK;
}

static void ask_for_class(question *q, const co_view *view, int64_t code) {
  const co_column *c = view->column;
  char number[16];
  snprintf(number, sizeof number, "%d", (int)code);
  *q = (question){.view = *view, .code = code};
  snprintf(q->what, sizeof q->what, "'%.60s' of %.60s",
           code < c->category_count ? c->categories[code] : number, c->name);
}

// Of each of the first classes, or of a binary of the positive one; of a number, above the median.
static int make_questions(check *k, const co_view *view, question out[MOST_CLASSES]) {
  int count = 0;
  if (view->column->type == CO_COLUMN_NUMBER) {
    column_facts facts = look_at(k, view);
    out[0] = (question){
        .view = *view, .code = -1, .threshold = co_sorted_quantile(k->values, facts.known, 0.5)};
    snprintf(out[0].what, sizeof out[0].what, "%.60s above its median %.6g", view->column->name,
             out[0].threshold);
    return 1;
  }
  int64_t classes = view->codes ? view->column->category_count : 2;
  if (classes == 2) {
    ask_for_class(&out[count++], view, 1);
    return count;
  }
  for (int64_t code = 0; code < classes && count < MOST_CLASSES; code++)
    ask_for_class(&out[count++], view, code);
  return count;
}

// ---- targets -----------------------------------------------------------------------------------

static co_status check_target(check *k, const co_view *view) {
  char text[TEXT];
  bool number = view->column->type == CO_COLUMN_NUMBER;
  for (int s = 0; s < CO_SPLIT_COUNT; s++) {
    const int64_t *rows;
    int64_t count = 0, known = 0;
    double first = (double)NAN;
    bool different = false;
    CO_RETURN_IF_FAILED(co_dataset_split(k->dataset, (co_split)s, &rows, &count));
    for (int64_t i = 0; i < count && !different; i++) {
      double value = co_view_at(view, rows[i]);
      if (isnan(value)) continue;
      if (!known++) first = value;
      different = value != first;
    }
    if (different || !count) continue;
    snprintf(text, sizeof text, "has %s in the %lld %s rows",
             !known   ? "no value"
             : number ? "one value"
                      : "one class",
             (long long)count, co_split_name((co_split)s));
    CO_RETURN_IF_FAILED(
        find(k, "one_class_target", CO_SEVERITY_ERROR, view->column->name, count, text,
             "split by shares of the target: import with --split stratified:0.7,0.1,0.2"));
  }
  return CO_OK;
}

static bool is_judged(const co_column *column) {
  return co_view_exists(column) && column->type != CO_COLUMN_IMAGE &&
         column->type != CO_COLUMN_VECTOR;
}

static co_status check_input(check *k, const co_column *column) {
  co_view view, target;
  question questions[MOST_CLASSES];
  int64_t missing;
  const co_table *table = co_schema_table(k->schema, column->table);
  if (!is_judged(column) || (table && table->kind == CO_TABLE_EVENTS)) return CO_OK;
  CO_RETURN_IF_FAILED(co_view_open(&view, k->dataset, column));
  CO_RETURN_IF_FAILED(check_alone(k, &view, &missing));
  for (int64_t i = 0; i < k->schema->column_count; i++) {
    const co_column *c = &k->schema->columns[i];
    if (c->role != CO_ROLE_TARGET || !is_judged(c)) continue;
    CO_RETURN_IF_FAILED(co_view_open(&target, k->dataset, c));
    int count = make_questions(k, &target, questions);
    CO_RETURN_IF_FAILED(ask(k, &view, missing, questions, count));
  }
  return CO_OK;
}

static co_status check_columns(check *k) {
  for (int64_t i = 0; i < k->schema->column_count; i++) {
    const co_column *c = &k->schema->columns[i];
    if (k->stop && *k->stop) return co_fail(CO_INTERRUPTED, "stopped");
    k->out->inputs += c->role == CO_ROLE_INPUT;
    k->out->targets += c->role == CO_ROLE_TARGET;
    if (c->role == CO_ROLE_TARGET && is_judged(c)) {
      co_view view;
      CO_RETURN_IF_FAILED(co_view_open(&view, k->dataset, c));
      CO_RETURN_IF_FAILED(check_target(k, &view));
    }
    if (c->role == CO_ROLE_INPUT && k->count) CO_RETURN_IF_FAILED(check_input(k, c));
  }
  return CO_OK;
}

// ---- all ---------------------------------------------------------------------------------------

static co_status choose_rows(check *k) {
  const int64_t *rows;
  int64_t all = 0;
  CO_RETURN_IF_FAILED(co_dataset_split(k->dataset, CO_SPLIT_TRAIN, &rows, &all));
  k->count = all < CO_CHECK_ROWS ? all : CO_CHECK_ROWS;
  k->out->rows = k->count;
  k->rows = co_alloc(k->ctx, (size_t)(k->count + 1) * sizeof *k->rows);
  k->values = co_alloc(k->ctx, 3 * (size_t)(k->count + 1) * sizeof *k->values);
  if (!k->rows || !k->values) return CO_ERR_MEMORY;
  k->scratch = k->values + 2 * k->count;
  for (int64_t i = 0; i < k->count; i++)
    k->rows[i] = rows[co_stretch_draw(i, k->count, all)];
  return CO_OK;
}

// Errors first; else as they were found.
static co_status order(check *k) {
  int64_t next = 0;
  co_finding *sorted = co_arena_alloc(k->arena, (size_t)k->out->count + 1, sizeof *sorted);
  if (!sorted) return CO_ERR_MEMORY;
  for (int severity = CO_SEVERITY_ERROR; severity >= CO_SEVERITY_WARNING; severity--)
    for (int64_t i = 0; i < k->out->count; i++)
      if ((int)k->out->items[i].severity == severity) sorted[next++] = k->out->items[i];
  k->out->items = sorted;
  return CO_OK;
}

co_status co_dataset_check(co_findings *out, co_context *ctx, co_arena *arena, co_dataset *dataset,
                           const volatile int *stop) {
  check k = {.ctx = ctx,
             .arena = arena,
             .dataset = dataset,
             .schema = co_dataset_schema(dataset),
             .stop = stop,
             .out = out};
  *out = (co_findings){0};
  co_status status = choose_rows(&k);
  if (status == CO_OK) status = check_rows(&k);
  if (status == CO_OK) status = check_images(&k);
  if (status == CO_OK) status = check_times(&k);
  if (status == CO_OK) status = check_columns(&k);
  if (status == CO_OK) status = order(&k);
  co_free(ctx, k.rows);
  co_free(ctx, k.values);
  return status;
}
