// SPDX-License-Identifier: Apache-2.0
// What cuDNN says of descriptors of recurrent layers, for which it needs no device: the double has to say
// the same as the real library.
#ifndef COHORT_CUDASIM_RNN_DESCRIPTORS_H
#define COHORT_CUDASIM_RNN_DESCRIPTORS_H

// Number of answers that are not as written down; each is printed.
int rnn_descriptors_wrong(void);

#endif
