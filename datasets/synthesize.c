// SPDX-License-Identifier: Apache-2.0
#include "datasets/synthesize.h"

#include <math.h>
#include <string.h>

#include "host/core/rng.h"

enum {
  PART = 4096,     // rows that a thread writes at a time
  PARTS = 16,      // of a block
  ROW_BYTES = 192, // more than a row of either file has
  DRAWS = 32       // of a customer
};

typedef struct choice {
  const char *name;
  double share, effect;
} choice;

static const choice regions[] = {{"north", .25, .2},  {"west", .18, 0},    {"south", .15, -.2},
                                 {"east", .12, -.1},  {"centre", .10, .1}, {"coast", .08, .3},
                                 {"hills", .07, -.3}, {"isles", .05, 0}};
enum { SEARCH, SOCIAL, EMAIL, STORE, REFERRAL };
static const choice channels[] = {[SEARCH] = {"search", .35, 0},
                                  [SOCIAL] = {"social", .25, -.4},
                                  [EMAIL] = {"email", .20, .3},
                                  [STORE] = {"store", .12, .1},
                                  [REFERRAL] = {"referral", .08, .7}};
enum { BASIC, PLUS, PREMIUM };
static const choice plans[] = {
    [BASIC] = {"basic", .55, 0}, [PLUS] = {"plus", .30, .3}, [PREMIUM] = {"premium", .15, .8}};

// ---- draws -------------------------------------------------------------------------------------

typedef struct draws {
  uint64_t seed, block;
  uint32_t purpose;
  co_philox_block words;
  int next; // of the words
} draws;

// Within (0, 1).
static double uniform(draws *d) {
  if (d->next == 4) {
    d->words = co_philox(d->seed, d->block++, 0, d->purpose);
    d->next = 0;
  }
  return ((double)d->words.word[d->next++] + 0.5) * 0x1p-32;
}

static double exponential(draws *d) {
  return -log(uniform(d));
}

// Box & Muller, of whose two numbers one is taken.
static double normal(draws *d) {
  double radius = sqrt(2 * exponential(d));
  return radius * cos(2 * 3.14159265358979323846 * uniform(d));
}

static int choose(draws *d, const choice *choices, int count) {
  double u = uniform(d);
  int i = 0;
  for (; i + 1 < count && u >= choices[i].share; i++)
    u -= choices[i].share;
  return i;
}

// ---- a customer --------------------------------------------------------------------------------

typedef struct customer {
  int age, region, channel, plan, tenure, visits, orders, recency, tickets, satisfaction;
  double basket, discounts;
  bool newsletter, has_satisfaction, contacted, bought;
  double score, effect; // of the logit without contact; of a contact on it
} customer;

static int within(double value, int low, int high) {
  return value < low ? low : value > high ? high : (int)value;
}

static void draw_profile(customer *c, draws *d) {
  c->age = 18 + (int)(63 * pow(uniform(d), 1.2));
  c->region = choose(d, regions, sizeof regions / sizeof *regions);
  c->channel = choose(d, channels, sizeof channels / sizeof *channels);
  c->plan = choose(d, plans, sizeof plans / sizeof *plans);
  c->tenure = within(floor(24 * exponential(d)), 0, 120);
  c->visits = within(floor(exp(0.9 + 0.6 * normal(d) + 0.3 * (c->plan == PREMIUM))), 0, 10000);
  double dear = 0.15 * (c->plan == PLUS) + 0.4 * (c->plan == PREMIUM);
  c->basket = exp(3.2 + 0.5 * normal(d) + dear);
  c->orders = (int)(2 * uniform(d) * c->visits);
  c->recency = within(floor(180 * exponential(d) / (1 + c->orders)), 0, 365);
  c->discounts = round(100 * pow(uniform(d), 2)) / 100;
  c->tickets = (int)(0.8 * exponential(d));
  c->newsletter = uniform(d) < 0.4 + 0.2 * (c->channel == EMAIL);
  c->satisfaction = within(round(7 - 0.9 * c->tickets + 1.5 * normal(d)), 1, 10);
  double missing = 0.08 + 0.30 * (c->channel == STORE) + 0.10 * (c->age > 60);
  c->has_satisfaction = uniform(d) >= missing;
  c->contacted = uniform(d) < 0.5;
}

static void judge(customer *c) {
  double years = (c->age - 42) / 18.0;
  c->score = -2.2 + 0.8 * log1p(c->visits) + 0.01 * (c->tenure < 60 ? c->tenure : 60) -
             0.010 * c->recency + channels[c->channel].effect + plans[c->plan].effect +
             regions[c->region].effect - 0.3 * years * years + 0.15 * (c->satisfaction - 7) -
             0.25 * c->tickets + 0.9 * (c->channel == SOCIAL && c->age < 30) -
             0.5 * (c->plan == PREMIUM && c->discounts > 0.5);
  c->effect = 0.5 + 0.6 * c->newsletter - 0.9 * (c->recency < 14);
}

static double probability(const customer *c, bool contacted) {
  return 1 / (1 + exp(-(c->score + (contacted ? c->effect : 0))));
}

// ---- text --------------------------------------------------------------------------------------

typedef struct line {
  char *at;
} line;

static void put(line *l, const char *text) {
  size_t length = strlen(text);
  memcpy(l->at, text, length);
  l->at += length;
}

static void put_number(line *l, int64_t value, int digits) {
  char text[24];
  int at = sizeof text;
  do {
    text[--at] = (char)('0' + value % 10);
    value /= 10;
  } while (value || (int)sizeof text - at < digits);
  memcpy(l->at, text + at, sizeof text - (size_t)at);
  l->at += sizeof text - (size_t)at;
}

// With a fixed number of decimals; not negative.
static void put_decimal(line *l, double value, int decimals) {
  int64_t scale = 1;
  for (int i = 0; i < decimals; i++)
    scale *= 10;
  int64_t whole = (int64_t)round(value * (double)scale);
  put_number(l, whole / scale, 1);
  put(l, ".");
  put_number(l, whole % scale, decimals);
}

static void put_cell(line *l, int64_t value) {
  put(l, ",");
  put_number(l, value, 1);
}

static void put_word(line *l, const char *word) {
  put(l, ",");
  put(l, word);
}

static void put_customer(line *l, int64_t number) {
  put(l, "C");
  put_number(l, number + 1, 8);
}

static void put_row(line *l, const customer *c, int64_t number, double invoice) {
  put_customer(l, number);
  put_cell(l, c->age);
  put_word(l, regions[c->region].name);
  put_word(l, channels[c->channel].name);
  put_word(l, plans[c->plan].name);
  put_cell(l, c->tenure);
  put_cell(l, c->visits);
  put(l, ",");
  put_decimal(l, c->basket, 2);
  put_cell(l, c->orders);
  put_cell(l, c->recency);
  put(l, ",");
  put_decimal(l, c->discounts, 2);
  put_cell(l, c->tickets);
  put_word(l, c->newsletter ? "yes" : "no");
  put(l, ",");
  if (c->has_satisfaction) put_number(l, c->satisfaction, 1);
  put_word(l, c->contacted ? "yes" : "no");
  if (invoice >= 0) {
    put(l, ",");
    put_decimal(l, invoice, 2);
  }
  put_word(l, c->bought ? "yes" : "no");
  put(l, "\n");
}

static void put_truth(line *l, const customer *c, int64_t number) {
  put_customer(l, number);
  put(l, ",");
  put_decimal(l, probability(c, c->contacted), 8);
  put(l, ",");
  put_decimal(l, probability(c, true), 8);
  put(l, ",");
  put_decimal(l, probability(c, false), 8);
  put(l, "\n");
}

static const char header[] = "customer,age,region,channel,plan,tenure,visits,basket,orders,recency,"
                             "discounts,tickets,newsletter,satisfaction,contacted,";
static const char truth_header[] =
    "customer,probability,probability_contacted,probability_not_contacted\n";

static void make(const co_synthesize_options *o, int64_t number, line *table, line *truth) {
  customer c;
  draws d = {.seed = o->seed,
             .block = (uint64_t)number * (DRAWS / 4),
             .purpose = co_purpose("synthesize", "customers"),
             .next = 4};
  draw_profile(&c, &d);
  judge(&c);
  c.bought = uniform(&d) < probability(&c, c.contacted);
  double bill = c.basket * (0.8 + 0.4 * uniform(&d));
  put_row(table, &c, number, !o->leak ? -1 : c.bought ? bill : 0);
  if (o->truth) put_truth(truth, &c, number);
}

// ---- all ---------------------------------------------------------------------------------------

typedef struct part {
  char *table, *truth;
  size_t table_bytes, truth_bytes;
} part;

static void make_part(const co_synthesize_options *o, int64_t begin, part *p) {
  line table = {p->table}, truth = {p->truth};
  for (int64_t i = begin; i < begin + PART && i < o->rows; i++)
    make(o, i, &table, &truth);
  p->table_bytes = (size_t)(table.at - p->table);
  p->truth_bytes = (size_t)(truth.at - p->truth);
}

static co_status make_block(co_context *ctx, const co_synthesize_options *o, int64_t begin,
                            part *parts) {
  int threads = co_context_threads(ctx);
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads)
  for (int k = 0; k < PARTS; k++)
    make_part(o, begin + (int64_t)k * PART, &parts[k]);
  for (int k = 0; k < PARTS; k++) {
    CO_RETURN_IF_FAILED(co_writer_write(o->table, parts[k].table, parts[k].table_bytes));
    if (o->truth)
      CO_RETURN_IF_FAILED(co_writer_write(o->truth, parts[k].truth, parts[k].truth_bytes));
  }
  return CO_OK;
}

static co_status write_headers(const co_synthesize_options *o) {
  const char *last = o->leak ? "invoice,bought\n" : "bought\n";
  CO_RETURN_IF_FAILED(co_writer_write(o->table, header, sizeof header - 1));
  CO_RETURN_IF_FAILED(co_writer_write(o->table, last, strlen(last)));
  return o->truth ? co_writer_write(o->truth, truth_header, sizeof truth_header - 1) : CO_OK;
}

co_status co_synthesize(co_context *ctx, const co_synthesize_options *o) {
  part parts[PARTS];
  char *room = co_alloc(ctx, (size_t)PARTS * 2 * PART * ROW_BYTES);
  if (!room) return CO_ERR_MEMORY;
  for (int k = 0; k < PARTS; k++)
    parts[k] = (part){.table = room + (size_t)k * 2 * PART * ROW_BYTES,
                      .truth = room + ((size_t)k * 2 + 1) * PART * ROW_BYTES};
  co_status status = write_headers(o);
  for (int64_t row = 0; status == CO_OK && row < o->rows; row += PART * PARTS) {
    if (o->progress) o->progress(o->progress_user, "synthesize", row, o->rows);
    if (o->stop && *o->stop)
      status = co_fail(CO_INTERRUPTED, "stopped; no output was written");
    else
      status = make_block(ctx, o, row, parts);
  }
  co_free(ctx, room);
  return status;
}
