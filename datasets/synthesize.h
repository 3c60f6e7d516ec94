// SPDX-License-Identifier: Apache-2.0
// Customers from a known process, as a table in text: what a model can reach on them at best is known.
// Every customer is a function of the seed and his number alone. With u uniform, z standard normal,
// E exponential with mean 1, each drawn anew, [..] 1 where true and 0 elsewhere:
//
//     age           18 + floor(63 u^1.2)
//     region        north .25, west .18, south .15, east .12, centre .10, coast .08, hills .07, isles .05
//     channel       search .35, social .25, email .20, store .12, referral .08
//     plan          basic .55, plus .30, premium .15
//     tenure        months: min(floor(24 E), 120)
//     visits        a month: floor(exp(0.9 + 0.6 z + 0.3 [premium]))
//     basket        exp(3.2 + 0.5 z + 0.15 [plus] + 0.4 [premium]), two decimals
//     orders        in a year: floor(2 u visits)
//     recency       days since the last one: min(floor(180 E / (1 + orders)), 365)
//     discounts     share of orders: u^2, two decimals
//     tickets       floor(0.8 E)
//     newsletter    yes with probability 0.4 + 0.2 [email]
//     satisfaction  round(7 - 0.9 tickets + 1.5 z) within 1 … 10; missing at random, with
//                   probability 0.08 + 0.30 [store] + 0.10 [age > 60]
//     contacted     yes with probability 0.5, whoever it is: a campaign with a control group
//     bought        yes with probability 1 / (1 + exp(-s)), the target:
//
//     s = -2.2 + 0.8 ln(1 + visits) + 0.01 min(tenure, 60) - 0.010 recency
//         + {search 0, social -0.4, email 0.3, store 0.1, referral 0.7} + {plus 0.3, premium 0.8}
//         + {north 0.2, west 0, south -0.2, east -0.1, centre 0.1, coast 0.3, hills -0.3, isles 0}
//         - 0.3 ((age - 42) / 18)^2 + 0.15 (satisfaction - 7) - 0.25 tickets
//         + 0.9 [social and age < 30] - 0.5 [premium and discounts > 0.5]
//         + [contacted] (0.5 + 0.6 [newsletter] - 0.9 [recency < 14])
//
// where satisfaction counts even if it is missing in the table. Of those bought within two weeks, a
// contact keeps some from buying again: whom to write to is not who is likely to buy.
#ifndef COHORT_DATASETS_SYNTHESIZE_H
#define COHORT_DATASETS_SYNTHESIZE_H

#include "datasets/import.h"
#include "host/core/file.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct co_synthesize_options {
  co_writer *table; // the customers
  // The truth: customer, probability, probability_contacted, probability_not_contacted. NULL = none.
  co_writer *truth;
  int64_t rows;
  uint64_t seed;
  bool leak;                   // one more column, invoice, which is known after the fact alone
  co_import_progress progress; // in rows
  void *progress_user;
  const volatile int *stop;
} co_synthesize_options;

// In bounded memory, on the context's threads; equal options give equal bytes.
co_status co_synthesize(co_context *ctx, const co_synthesize_options *options);

#ifdef __cplusplus
}
#endif
#endif
