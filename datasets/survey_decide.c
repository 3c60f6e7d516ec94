// SPDX-License-Identifier: Apache-2.0
// From what a column's cells are to what the column is; the rules stand in datasets/README.md.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "datasets/survey.h"

typedef struct decision {
  co_survey *survey;
  co_column_survey *column;
} decision;

// ---- telling -----------------------------------------------------------------------------------

static co_status wrong_cell(const decision *d, const co_survey_cell *cell, const char *what) {
  return co_fail_at(CO_ERR_DATA, co_scan_shown(&d->survey->scan, cell->file), (long)cell->line, 0,
                    "row %" PRId64 ", column '%.200s': '%s' %s", cell->row, d->column->name,
                    cell->text, what);
}

static co_status wrong_column(const decision *d, const char *what) {
  return co_fail_at(CO_ERR_DATA, co_scan_shown(&d->survey->scan, 0), 0, 0, "column '%.200s': %s",
                    d->column->name, what);
}

static void tell(const decision *d, co_log_level level, const char *format, ...) CO_PRINTF(3, 4);
static void tell(const decision *d, co_log_level level, const char *format, ...) {
  char text[512];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  co_log(d->survey->ctx, level, "import", "column '%s': %s", d->column->shown, text);
}

// ---- types -------------------------------------------------------------------------------------

static bool is_zero_one(const co_column_survey *c) {
  return c->few_count == 2 && c->few[0].value + c->few[1].value == 1 &&
         c->few[0].value * c->few[1].value == 0;
}

static bool all_numbers(const co_column_survey *c) {
  return c->numbers == co_survey_values(c);
}

// Of a target, two numbers are classes, whatever they are.
static bool are_two_numbers(const co_column_survey *c) {
  return is_zero_one(c) || (c->recipe.role == CO_RECIPE_TARGET && c->few_count == 2);
}

bool co_survey_is_code(const co_column_survey *c) {
  int64_t marked = c->padded + c->personal[CO_PERSONAL_PHONE];
  if (c->recipe.type || c->recipe.reference || c->recipe.role == CO_RECIPE_WEIGHT ||
      !all_numbers(c) || are_two_numbers(c) || c->fractions || c->negative || c->marks ||
      c->large.row)
    return false;
  return marked && (marked == c->numbers || (c->padded && c->shortest == c->longest));
}

// Rows with such cells will be rejected, where that is asked for.
static bool may_reject(const decision *d) {
  return d->survey->rejects->rule.on_error != CO_ON_ERROR_FAIL;
}

static co_status check_numbers(const decision *d) {
  const co_column_survey *c = d->column;
  co_status status;
  if (may_reject(d) && (all_numbers(c) || c->given.type || c->given.role == CO_RECIPE_WEIGHT))
    return CO_OK;
  if (!all_numbers(c)) {
    bool comma = c->commas && c->comma.row == c->other.row && c->comma.file == c->other.file;
    status = wrong_cell(d, &c->other,
                        !comma                     ? "is no number"
                        : d->survey->decimal_comma ? "is no number: its decimal mark is a point"
                                                   : "is no number: decimal commas are not read");
    co_hint("%s--type %s=category takes it as a word, --ignore %s leaves the column out",
            comma && !d->survey->decimal_comma ? "--decimal , reads 9,38 and 1.234,56; " : "",
            c->shown, c->shown);
    return status;
  }
  if (!c->large.row) return CO_OK;
  status = wrong_cell(d, &c->large, "is beyond the range of numbers, 3.4e38");
  co_hint("correct the cell, or leave the column out by --ignore %s", c->shown);
  return status;
}

static co_status check_dates(const decision *d) {
  const co_column_survey *c = d->column;
  if (!c->no_date.row || may_reject(d)) return CO_OK;
  co_status status = wrong_cell(d, &c->no_date, "is no date");
  co_hint("it should be one like %s; --type %s=date:%%d/%%m/%%Y would read such dates, --type "
          "%s=category would take texts as classes",
          c->recipe.format ? c->recipe.format : "2011-12-31 or 2011-12-31 23:59:59", c->shown,
          c->shown);
  return status;
}

// Mostly sentences, and mostly different ones.
static bool is_free_text(const co_column_survey *c) {
  return c->recipe.role != CO_RECIPE_TARGET && co_survey_values(c) > 2 &&
         2 * c->sentences > co_survey_values(c) && 2 * c->words.count > co_survey_values(c);
}

static void hint_numbers(const decision *d) {
  const co_column_survey *c = d->column;
  if (c->first.row) {
    tell(d, CO_LOG_WARN,
         "taken as a number: what stands in front of such as '%s' in row %" PRId64
         " is lost; --type %s=category or %s=text keeps it, and so does --key",
         c->first.text, c->first.row, c->shown, c->shown);
    return;
  }
  if (c->fractions || c->few_count > CO_SURVEY_FEW || c->numbers < 10 * (int64_t)c->few_count)
    return;
  tell(d, CO_LOG_INFO,
       "taken as a number; it has only %d different whole ones: --type %s=category would take them "
       "as classes",
       c->few_count, c->shown);
}

static void hint_words(const decision *d) {
  const co_column_survey *c = d->column;
  if (c->recipe.reference) return;
  if (all_numbers(c)) {
    tell(d, CO_LOG_WARN,
         "taken as a category: of numbers, what stands in front of '%s' in row %" PRId64
         " would be lost; --type %s=number makes them such",
         c->first.text, c->first.row, c->shown);
  } else if (c->numbers > 9 * (co_survey_values(c) - c->numbers) && co_survey_values(c) >= 10) {
    tell(d, CO_LOG_WARN,
         "taken as a category, but %" PRId64 " of %" PRId64 " values are numbers; '%s' in row "
         "%" PRId64 " is none",
         c->numbers, co_survey_values(c), c->other.text, c->other.row);
    return;
  }
  if (2 * c->words.count > co_survey_values(c) && co_survey_values(c) >= 20)
    tell(d, CO_LOG_WARN,
         "taken as a category, but it has %" PRId64 " different texts in %" PRId64
         " rows; --type %s=text would read it as text, --ignore %s leave it out",
         c->words.count, co_survey_values(c), c->shown, c->shown);
}

static bool is_used(const co_column_survey *c) {
  return c->recipe.role == CO_RECIPE_INPUT || c->recipe.role == CO_RECIPE_TARGET ||
         c->recipe.role == CO_RECIPE_WEIGHT;
}

// What nothing could be learned from is left out, unless the recipe wants it in.
static void leave_out(const decision *d, co_recipe_type type, co_log_level level, const char *why) {
  co_recipe_column *recipe = &d->column->recipe;
  recipe->type = type;
  recipe->role = CO_RECIPE_IGNORE;
  if (type == CO_RECIPE_DATE || type == CO_RECIPE_TEXT)
    tell(d, level, "left out: %s; --type %s=%s makes it an input", why, d->column->shown,
         co_recipe_type_name(type));
  else
    tell(d, level, "left out: %s", why);
}

typedef enum verdict { EMPTY, BINARY, NUMBERS, COMMAS, DATES, TEXTS, IDS, CATEGORIES } verdict;

// Zeros in front may be but how numbers are printed; a phone number is none that is calculated with.
static bool may_be_amounts(const co_column_survey *c) {
  return !c->recipe.reference && !c->personal[CO_PERSONAL_PHONE];
}

// What the cells of a column are.
static verdict judge(const co_column_survey *c) {
  int64_t values = co_survey_values(c);
  bool target = c->recipe.role == CO_RECIPE_TARGET;
  if (!values) return EMPTY;
  if (all_numbers(c) && !c->recipe.reference && are_two_numbers(c)) return BINARY;
  if (all_numbers(c) && !c->recipe.reference && !(co_survey_is_code(c) && c->has_words))
    return NUMBERS;
  if (c->commas && c->commas + c->numbers == values) return COMMAS;
  if (c->dates == values && !target) return DATES;
  if (c->words.count == 2) return BINARY;
  if (is_free_text(c)) return TEXTS;
  if (c->words.count == values && values > 2 && c->recipe.role != CO_RECIPE_INPUT)
    return all_numbers(c) && (target || may_be_amounts(c)) ? NUMBERS : IDS;
  return CATEGORIES;
}

static co_status find_type(const decision *d) {
  co_column_survey *c = d->column;
  co_recipe_column *recipe = &c->recipe;
  bool free = recipe->role == CO_RECIPE_ROLE_ANY;
  switch (judge(c)) {
  case EMPTY:
    if (recipe->role == CO_RECIPE_TARGET) return wrong_column(d, "the target has no value");
    if (free) leave_out(d, CO_RECIPE_NUMBER, CO_LOG_WARN, "it has no value");
    recipe->type = CO_RECIPE_NUMBER;
    return CO_OK;
  case BINARY:
    recipe->type = CO_RECIPE_BINARY;
    return CO_OK;
  case NUMBERS:
    recipe->type = CO_RECIPE_NUMBER;
    CO_RETURN_IF_FAILED(check_numbers(d));
    hint_numbers(d);
    return CO_OK;
  case COMMAS:
    return check_numbers(d);
  case DATES:
    CO_RETURN_IF_FAILED(check_dates(d));
    recipe->type = CO_RECIPE_DATE;
    if (free) leave_out(d, CO_RECIPE_DATE, CO_LOG_WARN, "dates");
    return CO_OK;
  case TEXTS:
    recipe->type = CO_RECIPE_TEXT;
    if (free) leave_out(d, CO_RECIPE_TEXT, CO_LOG_WARN, "free text");
    return CO_OK;
  case IDS:
    if (recipe->role == CO_RECIPE_TARGET) {
      co_status status = wrong_column(d, "every row of the target has a text of its own");
      co_hint("cohort import -O d.h5 … --type %s=text makes it one that is written", c->shown);
      return status;
    }
    leave_out(d, CO_RECIPE_ID, CO_LOG_INFO, "every row has a text of its own");
    if (all_numbers(c) && !c->recipe.reference)
      tell(d, CO_LOG_WARN,
           "its texts are numbers, with something in front that would be lost, as of '%s' in row "
           "%" PRId64 "; --type %s=number takes them as such",
           c->first.text, c->first.row, c->shown);
    return CO_OK;
  case CATEGORIES:
    recipe->type = CO_RECIPE_CATEGORY;
    hint_words(d);
    return CO_OK;
  }
  return CO_OK;
}

bool co_survey_is_likely(const co_column_survey *c) {
  if (is_used(c)) return true;
  if (c->recipe.role != CO_RECIPE_ROLE_ANY) return false;
  if (c->recipe.type) return c->recipe.type != CO_RECIPE_ID;
  verdict v = judge(c);
  return v != EMPTY && v != DATES && v != TEXTS && v != IDS;
}

static int64_t different(const co_column_survey *c) {
  return c->has_words ? c->words.count : c->few_count;
}

static co_status check_date_column(const decision *d) {
  if (d->column->recipe.role == CO_RECIPE_TARGET) return wrong_column(d, "a date is no target");
  return check_dates(d);
}

static co_status check_type(const decision *d) {
  const co_column_survey *c = d->column;
  if (c->recipe.type == CO_RECIPE_NUMBER) return check_numbers(d);
  if (c->recipe.type == CO_RECIPE_DATE) return check_date_column(d);
  if (c->recipe.type == CO_RECIPE_IMAGE && c->recipe.role > CO_RECIPE_INPUT)
    return wrong_column(d, "images are inputs");
  if (c->recipe.type == CO_RECIPE_ID && is_used(c)) {
    co_status status = wrong_column(d, "texts that name rows are no inputs and no targets");
    co_hint("--type %s=category takes them as classes", c->shown);
    return status;
  }
  if (c->recipe.type == CO_RECIPE_BINARY && different(c) != 2) {
    char text[96];
    snprintf(text, sizeof text, "a binary has two different values, this has %s%" PRId64,
             !c->has_words && c->few_count > CO_SURVEY_FEW ? "more than " : "",
             different(c) - (!c->has_words && c->few_count > CO_SURVEY_FEW));
    return wrong_column(d, text);
  }
  return CO_OK;
}

// ---- classes of binaries -----------------------------------------------------------------------

// Whether a text says so by itself.
static bool is_yes(const char *text) {
  return !strcasecmp(text, "true") || !strcasecmp(text, "yes") || !strcasecmp(text, "y") ||
         !strcmp(text, "1");
}

typedef struct class_value {
  const char *text;
  int64_t count;
} class_value;

// The two values, the lesser first: numbers by value, texts by their bytes.
static void two_values(const co_column_survey *c, class_value out[2]) {
  for (int i = 0; i < 2; i++)
    out[i] = c->has_words ? (class_value){c->words.words[i].text, c->words.words[i].count}
                          : (class_value){c->few[i].text, c->few[i].count};
  bool turned =
      c->has_words ? strcmp(out[0].text, out[1].text) > 0 : c->few[0].value > c->few[1].value;
  if (!turned) return;
  class_value first = out[0];
  out[0] = out[1];
  out[1] = first;
}

static co_status find_positive(const decision *d, const class_value value[2], int *positive) {
  const co_column_survey *c = d->column;
  const char *given = c->recipe.positive;
  *positive = 1;
  for (int i = 0; given && i < 2; i++)
    if (strcmp(value[i].text, given) == 0) {
      *positive = i;
      return CO_OK;
    }
  if (given) {
    char text[256];
    snprintf(text, sizeof text, "there is no value '%.60s'; its values are '%.60s' and '%.60s'",
             given, value[0].text, value[1].text);
    return wrong_column(d, text);
  }
  if (is_yes(value[0].text) != is_yes(value[1].text)) {
    *positive = is_yes(value[1].text);
  } else if (c->recipe.role == CO_RECIPE_TARGET) {
    *positive = value[1].count <= value[0].count;
    tell(d, CO_LOG_WARN,
         "neither '%s' nor '%s' says yes: the rarer, '%s', is taken as positive; --positive VALUE "
         "decides otherwise",
         value[0].text, value[1].text, value[*positive].text);
  }
  return CO_OK;
}

static co_status name_classes(const decision *d) {
  co_column_survey *c = d->column;
  class_value value[2];
  int positive = 1;
  two_values(c, value);
  CO_RETURN_IF_FAILED(find_positive(d, value, &positive));
  c->classes[0] = value[1 - positive].text;
  c->classes[1] = value[positive].text;
  c->recipe.positive = c->classes[1];
  return CO_OK;
}

// ---- columns -----------------------------------------------------------------------------------

static co_status check_target(const decision *d) {
  const co_column_survey *c = d->column;
  char text[160];
  if (c->recipe.type == CO_RECIPE_CATEGORY && c->words.count == 1) {
    snprintf(text, sizeof text, "the target has only one value, '%.60s': there is nothing to learn",
             c->words.words[0].text);
    return wrong_column(d, text);
  }
  if (c->recipe.type == CO_RECIPE_NUMBER && c->few_count <= 1) {
    snprintf(text, sizeof text, "the target has only one value, %.60s: there is nothing to learn",
             c->few_count ? c->few[0].text : "none");
    return wrong_column(d, text);
  }
  if (c->missing)
    tell(d, CO_LOG_WARN, "%" PRId64 " rows have no target and are not learned from", c->missing);
  return CO_OK;
}

static co_status note(const decision *d) {
  co_column_survey *c = d->column;
  char words[64] = "";
  if (c->recipe.type == CO_RECIPE_CATEGORY || c->recipe.type == CO_RECIPE_ID ||
      c->recipe.type == CO_RECIPE_IMAGE)
    snprintf(words, sizeof words, "%" PRId64 " different", c->words.count);
  if (!c->missing && !words[0]) return CO_OK;
  c->recipe.note = c->missing ? co_arena_format(d->survey->arena, "%" PRId64 " missing%s%s",
                                                c->missing, words[0] ? ", " : "", words)
                              : co_arena_strdup(d->survey->arena, words);
  return c->recipe.note ? CO_OK : CO_ERR_MEMORY;
}

static co_status decide(const decision *d) {
  co_column_survey *c = d->column;
  co_recipe_column *recipe = &c->recipe;
  if (recipe->role == CO_RECIPE_IGNORE || recipe->role == CO_RECIPE_SPLIT) return CO_OK;
  if (recipe->role == CO_RECIPE_KEY || recipe->type == CO_RECIPE_ID) {
    if (recipe->role == CO_RECIPE_ROLE_ANY) recipe->role = CO_RECIPE_IGNORE;
    if (recipe->role == CO_RECIPE_KEY) recipe->type = CO_RECIPE_ID;
  }
  if (recipe->role == CO_RECIPE_WEIGHT) recipe->type = CO_RECIPE_NUMBER;
  CO_RETURN_IF_FAILED(recipe->type ? check_type(d) : find_type(d));
  if (recipe->role == CO_RECIPE_ROLE_ANY) recipe->role = CO_RECIPE_INPUT;
  if (recipe->role == CO_RECIPE_TARGET) CO_RETURN_IF_FAILED(check_target(d));
  if (recipe->positive && recipe->type != CO_RECIPE_BINARY)
    return wrong_column(d, "there is a positive value, but the column is no binary");
  if (recipe->type == CO_RECIPE_BINARY && recipe->role != CO_RECIPE_IGNORE)
    CO_RETURN_IF_FAILED(name_classes(d));
  if (recipe->role == CO_RECIPE_WEIGHT && c->missing)
    return wrong_cell(d, &c->lacking, "is no weight: it is missing");
  return note(d);
}

co_status co_survey_decide(co_survey *s) {
  for (int64_t i = 0; i < s->column_count; i++) {
    const decision d = {s, &s->columns[i]};
    CO_RETURN_IF_FAILED(decide(&d));
  }
  return CO_OK;
}
