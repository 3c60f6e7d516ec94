// SPDX-License-Identifier: Apache-2.0
// THE CONTRACT between the planner and the backends: what every operation computes. Their operands, how
// gradients are derived, what stands in at inference and what else is to be known list ops_list.h.
// Shared with CUDA sources: common subset of C11 and C++17.
//
// Notation: N rows of a batch, H W C height, width, channels, P Q pooled/convolved height and
// width, I O input and output features, K classes. "real" is the computing type (f32, or f64 under
// the double policy of the reference). Shapes are logical; memory order is the operand's layout.
#ifndef COHORT_KERNELS_OPS_H
#define COHORT_KERNELS_OPS_H

#include "kernels/operands.h"
#include "kernels/ops_list.h"

// What each computes (accumulate: bit i of co_op_desc.accumulate makes output i += instead of =; the
// activation comes before the addition; a gate beside GRADIENT_NORM's sum would be that of the total).
//
// DENSE          x (N, I) or (N, …) with I = product of the rest (a fused flatten, rows in
//                canonical order), w (I, O), b (O): y (N, O) = act(x w + b).
//                relu of a sum that is NaN: NaN or 0, as libraries fuse it. Inputs are checked, and
//                no step makes a weight that is not finite, so only an overflow is hidden so.
//                db = sum over rows of dy. mask u8 (N, O): 1 where y > 0, else 0 (backends may
//                store it in a layout of their own).
// DENSE_BACKWARD_DATA  dy (N, O), w (I, O): dx (N, I) = dy w'. An operation of graphs, too: logits of
//                all rows of a table.
// DENSE_RELU_BACKWARD  DENSE_BACKWARD_DATA with the relu of the layer below, whose y is this x: dx
//                (N, I) = mask ? dy w' : 0, mask as that layer saved it; db (I) = sum over rows of
//                dx, the gradient of that layer's bias.
// CONV2D         x (N, H, W, C), w (KH, KW, I, O), b (O), in C / I groups: y (N, P, Q, O) =
//                act(cross-correlation + b), where the O results of one group after the other read
//                the channels of theirs (I = 1: depthwise; Krizhevsky et al. 2012, Chollet 2017);
//                P = (H + pad_begin + pad_end - ((KH-1) dilation + 1)) / stride + 1, rounded
//                down; zero padding; relu of NaN as in DENSE. The rules of DENSE and CONV2D, as those
//                of BATCH_NORM, apply below the activation: the planner puts RELU_BACKWARD(y, dy) in
//                front, and BATCH_NORM_BACKWARD takes it over where it has y.
// CONV2D_TRANSPOSE  x (N, P, Q, I), w (KH, KW, O, I), b (O): y (N, H, W, O) = act(z + b), z what
//                CONV2D_BACKWARD_DATA gives for dy = x: the gradient of a convolution from H to P by
//                the same attributes (Dumoulin & Visin 2016). H = (P - 1) stride + (KH-1) dilation + 1
//                - pad_begin - pad_end; pad_end may be negative here, by less than stride.
// MAX_POOL2D     x (N, H, W, C): y (N, P, Q, C) = act(max over the window); padding never wins;
//                argmax i32: winning position kh*KW + kw in the window, the first in row-major order
//                on ties, or -1 where relu leaves nothing of it: the gradient by argmax is that below
//                the activation (backends may store argmax in a layout of their own). NaN:
//                unspecified. Padding is smaller than the window; dilation is not read.
// AVERAGE_POOL2D  x (N, H, W, C): y (N, P, Q, C) = mean over the pixels of the window that lie in the
//                image; windows, padding and dilation as of MAX_POOL2D. Backward: dx = sum over the
//                windows of dy / their pixels.
// PAD2D          x (N, H, W, C): y (N, H + pad_begin + pad_end, …, C) = x within zeros; a negative
//                padding cuts rows or columns off. Backward: that of the padding negated.
// GLOBAL_AVERAGE_POOL2D  x (N, H, W, C): y (N, C) = mean over H and W. Backward: dx = dy / (H W) at
//                every pixel.
// UPSAMPLE2D     x (N, H, W, C): y (N, H SH, W SW, C), y[n, p, q, c] = x[n, p / SH, q / SW, c] (rounded
//                down), with stride = (SH, SW). Backward: dx = sum of dy over the SH SW pixels.
// RELU           y = max(x, 0), NaN passes. RELU_BACKWARD: dx = y > 0 ? dy / (1 - rate) : 0, where with
//                rate > 0 y is what a DROPOUT behind the relu has left, and dx the gradient below both.
// RELU_BIAS_BACKWARD  dx as RELU_BACKWARD; db (O) = sum of dx over all but the last dimension.
// SIGMOID        y = 1 / (1 + exp(-x)). SIGMOID_BACKWARD: dx = dy y (1 - y).
// TANH           y = tanh(x). TANH_BACKWARD: dx = dy (1 - y²).
// ACTIVATION     y = attr.function of x, element by element: GELU x P(X <= x), X standard normal
//                (Hendrycks & Gimpel 2016, by the error function, not by tanh); SILU x / (1 + exp(-x));
//                ELU x > 0 ? x : alpha (exp(x) - 1) (Clevert et al. 2016); LEAKY_RELU x > 0 ? x :
//                alpha x. ACTIVATION_BACKWARD: dx = dy times the derivative at x; at 0 of ELU and
//                LEAKY_RELU that from below. GELU and SILU of an infinity: unspecified.
// BATCH_NORM     over all but the last dimension; biased variance (Ioffe & Szegedy 2015; running
//                statistics as Keras 3): y = act(gamma (x - mean) / sqrt(variance + epsilon) + beta);
//                new_s = momentum * running_s + (1 - momentum) * batch_s for s = mean, variance.
//                Where the batch's mean or variance of a channel is not finite, new_s = running_s:
//                one bad batch must not spoil the state for good. new_* may be the same memory as
//                running_*. With argmax, x is (N, H, W, C), and y and argmax (N, P, Q, C) are what
//                MAX_POOL2D makes of act(…): the whole result is not written. BATCH_NORM_BACKWARD: with
//                argmax, of what MAX_POOL2D_BACKWARD gives for dy (N, P, Q, C) in place of dy; with y, the
//                result of a relu, of y > 0 ? dy : 0. BATCH_NORM_INFERENCE: with running statistics, then
//                act; its gradient is that of x alone, gamma dy / sqrt(running_variance + epsilon).
// FOLD_BATCH_NORM  weights w of a DENSE, CONV2D or CONV2D_TRANSPOSE with features o along dimension
//                attr.axis, b (O) or 0, followed by BATCH_NORM_INFERENCE, as those of one product (Jacob et
//                al. 2018, section 3.2): s = gamma / sqrt(running_variance + epsilon), kernel = w s[o],
//                bias (O) = (b - running_mean) s + beta, in double and rounded once.
// LAYER_NORM     over the last dimension (Ba et al. 2016), biased variance: mean and inverse = 1 /
//                sqrt(variance + epsilon), both (…) without the last; y = gamma (x - mean) inverse +
//                beta, gamma and beta (C). With G = attr.groups > 0 (Wu & He 2018) over all of a row of x
//                (N, …, C) but in G groups of channels side by side: mean and inverse (N, G). Which
//                elements belong together says kernels/norm.h. With attr.rms (Zhang & Sennrich 2019) there
//                is neither mean nor beta, nor groups: y = gamma x / sqrt(mean of x² + epsilon).
// ADD            y = act(a + b), equal shapes. y may be the memory of a.
// MULTIPLY       y = a b, element by element, equal shapes. Its own backward.
// MATMUL         a (N, M, K), with attr.transposed_a (N, K, M), b (N, K, P), with attr.transposed_b
//                (N, P, K): y (N, M, P), the product of each row's matrices. So are its gradients
//                (kernels/matmul.h).
// SCALE_CHANNELS  x (N, …, C), s (N, C): y = x s, each channel of a row by a number of its own (Hu et
//                al. 2018). SCALE_CHANNELS_BACKWARD: ds (N, C) = sum over all between of x dy.
// CONCAT         a (…, A), b (…, B), …, equal but for the last of at least two dimensions: y (…, A +
//                B + …) = a, then b, …. CONCAT_BACKWARD: da = the first A of dy, db = the next B, …;
//                where each begins and ends says attr.parts, absent ones included. In graphs, too.
// RESHAPE        y is x with another shape (attr.shape), same canonical order. Normally elided.
//                attr.shape may hold symbolic extents: N in front stands for the rows of x; N T
//                splits into N, T and back.
// DROPOUT        element e (canonical index within the effective batch: (row_offset + n) * row size
//                + offset in row; for x (N, T, …) with attr.max_length the row size is that of
//                max_length instead of T, so that a mask does not depend on the padding) is kept
//                if uniform(seed, e, step, purpose) >= rate, and scaled by 1 / (1 - rate) (inverted
//                dropout, as Keras); else 0. Its own backward. Rates are compared with uniforms in
//                float (FLIP too). With D = attr.draws > 0, which divides the row size, a row has D draws,
//                its elements take them in turn, e = (row_offset + n) D + offset in row modulo D: 1 drops
//                whole rows (Huang et al. 2016), C whole channels (Tompson et al. 2015).
// RECURRENT      x (N, T, I), lengths i32 (N), absent where all rows have T events; weights as in Keras, G gates of U units side by side:
//                kernel (I, G U), recurrent (U, G U), bias. For each row, from h = c = 0, for t = 0, 1,
//                … < lengths[n] (attr.reverse: from lengths[n] - 1 down to 0), with zx = x[t] kernel + b
//                and zh = h recurrent (+ b' of GRU), by attr.cell:
//                LSTM (Hochreiter & Schmidhuber 1997, with forget gates; gates i f g o, Keras' i f c
//                o): bias b (4 U), z = zx + zh; i, f, o = sigmoid, g = tanh of their parts of z; c = f
//                c + i g; h = o tanh(c). saved: i f g o c.
//                GRU (Cho et al. 2014, the form of cuDNN and PyTorch, Keras' reset_after; gates z r n,
//                Keras' z r h): bias b, b' (2, 3 U), z, r = sigmoid of their parts of zx + zh; a = n's
//                part of zh; n = tanh(n's part of zx + r a); h = z h + (1 - z) n. saved: z r n a h.
//                SIMPLE_RNN (Elman 1990): bias b (U), h = tanh(zx + zh). saved: h.
//                y (N, T, U) = h after event t, saved (N, T, S U) the values named; both are 0 for t >=
//                lengths[n], where x is not read. last (N, U) = h after the last event gone through, 0
//                for a row without. Lengths beyond T count as T. U is at most CO_RECURRENT_UNITS.
//                attr.gates is in place of the sigmoid and attr.states of tanh: HARD_SIGMOID
//                min(max(0.2 z + 0.5, 0), 1) (of Keras 1 and 2), RELU; slopes are 0 where they bend.
//                RECURRENT_BACKWARD: dx is 0 for t >= lengths[n], and dy is not read there.
// ATTENTION      (Vaswani et al. 2017; scores are never stored) q, k, v (N, T, E), lengths i32 (N),
//                bias (H, B) or absent; H = attr.heads parts of E, each of D = E / H. Of row n, head
//                h and event t < lengths[n], over the events j < lengths[n], of attr.causal j <= t:
//                s_j = q[t] k[j] / sqrt(D) + bias[h, min(|t - j|, B - 1)], p = softmax(s), y[t] =
//                sum_j p_j v[j]; logsum (N, H, T) = log(sum_j exp(s_j)). Both are 0 for t >=
//                lengths[n], where nothing is read. ATTENTION_BACKWARD: dq, dk and dv are 0 there.
// POOL_EVENTS    x (N, T, C), lengths i32 (N): y (N, C) over t < lengths[n], by attr.pooling: the
//                last, the sum, the mean; 0 for a row without events. Others are not read. Its backward,
//                dx (N, T, C), is an operation of graphs, too; there T is attr.shape[0].
// MAX_EVENTS     x (N, T, C), lengths i32 (N): y (N, C) = the largest x over t < lengths[n], 0 for a row
//                without events. Its gradient goes to the first of the largest.
// UNFOLD_EVENTS  x (N, T, C), lengths i32 (N): y (N, T, K C), K = attr.kernel[0]: y[n, t, k C + c] =
//                x[n, t + k attr.dilation[0] - attr.pad_begin[0], c] where t and that are both within
//                [0, lengths[n]), else 0: a dense layer of it is a convolution over time.
// REVERSE_EVENTS  x (N, T, C): y[n, t] = x[n, L - 1 - t] for t < L = lengths[n], T without lengths; else
//                0. Its own backward.
// COPY_EVENTS    x (N, K), score and codes i32 (N, T, 1), lengths i32 (N): y (N, K) = log(exp(x[n, k]) +
//                attr.factor sum of exp(score[n, t]) over t < lengths[n] with codes[n, t] = k + 1), so
//                that a softmax of y mixes that of x with a choice among the row's own events (copy
//                mechanism: Gu et al. 2016). Events of other codes are copied nowhere, and get no
//                gradient.
// SAMPLE_CLASSES  bounds i32 (K), ascending, the last 2^31 - 1, S = attr.shape: classes i32 (S), drawn
//                independently, class k with probability p(k) = (bounds[k] - bounds[k - 1]) / 2^31:
//                draw s is the first k with bounds[k] > bits(seed, s, step, purpose) >> 1, at most
//                K - 1. shift (S) = -log(S p(k)), 0 where S p(k) would be 0.
// SAMPLED_LOGITS  x, own (N, D), z (N, S), target i32 (N), classes i32 (S), shift (S): y (N, 1 + S) = the
//                logit of the row's target <x[n], own[n]>, then those of the classes drawn, z[n, s] +
//                shift[s], or CO_NO_LOGIT where classes[s] = target[n] (an accidental hit). So the sum
//                of exp(y) expects that over all classes, if z are their logits (importance sampling:
//                Bengio & Senécal 2008, "Adaptive Importance Sampling to Accelerate Training of a Neural
//                Probabilistic Language Model"; without a shift of the target, which is not drawn).
// EMBEDDING      index i32 (N, …), table (V, D): y (N, …, D) = table[index]. Indices are checked by
//                the caller; a wild one gives a row of NaN rather than a wild read, and no gradient.
//                EMBEDDING_BACKWARD: dtable (V, D), dense: row v = sum of dy over the positions of v,
//                in an order that positions alone decide (on CPUs the ascending one). So does each
//                further table with its index, of shapes of its own: operands come in pairs, the
//                first ones first. Layers make one table an operation, the planner joins them.
// PIECEWISE_DENSE  x (N, C) places in bins, as PIECEWISE_LINEAR gives them, w (C, B, D), b (C, D):
//                y (N, C, D) = act(b[c] + sum over k of clip(x[n,c] - k, 0, 1) w[c,k]), for each c a
//                dense layer over the piecewise linear encoding (Gorishniy et al. 2022) of a number,
//                without writing it out: b and the weights of the bins below are a sum that all rows
//                share. dx = sum over d of dy w[c, floor(x)] within [0, B), else 0. NaN gives NaN.
// PERIODIC       (Gorishniy et al. 2022) x (N, C), w (C, K): y (N, C, 2 K) = sin(v), then cos(v), where
//                v = 2 pi w[c] x[n,c].
// FACTORIZATION  (Rendle 2010) x (N, I), v (I, D): y (N, 1) = the sum over pairs i < j of <v[i], v[j]>
//                x[i] x[j], as sum_d (sums_d² - sum_i (v[i, d] x[i])²) / 2 where sums (N, D) = x v.
// MEMBER_SCALE   (several members in one network: Gorishniy et al. 2024, after Wen et al. 2020) x (N,
//                I), r (K, I): y (N K, I), row n K + k = x[n] r[k].
// MEMBER_DENSE   x (N K, I), w (K, I, O), b (K, O): y (N K, O), row n K + k = x w[k] + b[k].
// MEMBER_MEAN    x (N K, O), K = attr.members: y (N, O) = the mean over the K rows of n, taken of x
//                (attr.link = CO_LINK_NONE); of sigmoid(x), back as its logit (CO_LINK_SIGMOID); of
//                softmax(x), back as its logarithm (CO_LINK_SOFTMAX).
// REPEAT         x (N, …) of any type, K = attr.members: y (N K, …), row n K + k = x[n], of reals times
//                attr.factor.
// COLUMN_LOSS    how far x (N, W) is from columns of several kinds, target (N, V), columns i32 (F, 4) =
//                {begin in x, begin in target, size, kind}: y (N, F) = of kind CO_PART_VALUES the
//                mean over size of (x - t)²; CO_PART_LOGITS the mean over size of the cross-entropy
//                log(1 + exp(x)) - t x; CO_PART_CLASSES -log softmax(x)[t], of size logits and one
//                target, the number of the class (another than 0 … size - 1 gives NaN). Each number of
//                x is one column's.
// SWAP_NOISE     (denoising autoencoders of tables: Jahrer 2017) x (N, …) of any type, element e counted
//                as in DROPOUT: y = x of row (bits(seed, 2 e + 1, step, purpose) N) >> 32 in the same
//                place where uniform(seed, 2 e, step, purpose) < rate, else x.
// INDEX_DROPOUT  (word dropout: Iyyer et al. 2015) x i32 (N, …), element e counted as in DROPOUT: y = 0
//                where uniform(seed, e, step, purpose) < rate, else x. attr.draws = -1: row_offset is none.
// MIX_ROWS       x (N, H, W, C): images, each mixed with another of the N, both as kernels/mix.h draws
//                them of (row_offset + n) and the step. attr.mixup = a > 0 (Zhang et al. 2018): y = s x
//                + (1 - s) other, s of Beta(a, a). attr.cutmix = a > 0 (Yun et al. 2019): y = x but for
//                a box of 1 - s of the area, which is the other's. Both above 0: either, half of the
//                time. In place of two targets weighted by s and 1 - s, one of the two images is drawn
//                with these probabilities, and x is put in its place: the expected loss is the same,
//                and targets stay as they are.
// SAMPLE_NORMAL  (Kingma & Welling 2014) mean, log_variance and noise (N, D), the noise standard
//                normal: y = mean + exp(log_variance / 2) noise. At inference y = mean.
// KL_NORMAL      mean and log_variance (N, D): y (N, D) = (mean² + exp(log_variance) - 1 -
//                log_variance) / 2, the divergence of each number's normal distribution from the
//                standard one, in nats.
// SOFTMAX        over the last dimension; of predictions.
// ARG_MAX        x (N, K), allowed u8 (K): y i32 (N) = the first k of the largest x[n, k] of those that
//                are allowed (not 0; without it all). NaN: unspecified, but one of the K.
// MASKED_SOFTMAX  within networks: x (N, …, T), lengths i32 (N): y over the first lengths[n] of the last
//                dimension, over all T without lengths; 0 behind them, where x and dy are not read (all
//                of a row of length 0). dx = y (dy - sum over t of y dy).
// SOFTMAX_CROSS_ENTROPY  x logits (N, K), target i32 (N), weight real (N), inv_norm =
//                step.inv_norm[attr.output]: loss (N) = -log softmax(x)[target]; sum f64 (1) =
//                sum_n weight loss; dx (N, K) = weight inv_norm (softmax(x) - onehot). A row of
//                weight 0 has loss 0 and dx 0 whatever its target (which may be -1). hits f64 (2)
//                is what CATEGORICAL_HITS gives for the same x, target and weight. With
//                label_smoothing e, the target's distribution is (1 - e) onehot + e / K (Szegedy et al.
//                2016): loss = (1 - e) (-log softmax(x)[target]) + e mean_k(-log softmax(x)[k]).
// LINEAR_CROSS_ENTROPY  x (N, D), w (D, V) as of DENSE, with attr.transposed (V, D), b (V): what
//                SOFTMAX_CROSS_ENTROPY gives for the logits x w + b, and the gradients of x, w and b.
//                The logits are never held as a whole: implementations go through tiles of classes
//                twice, first for the largest logit and the sum of exponentials of each row (Milakov &
//                Gimelshein 2018, "Online normalizer calculation for softmax"), then for gradients,
//                with the logits computed anew, as ATTENTION's backward does. attr.output and
//                attr.label_smoothing as there. Not from layers: the planner puts it in the place of
//                the products and the loss where logits would be large. x is finite in rows of weight
//                0, too: to dw they add 0 x, as they do in DENSE_BACKWARD_WEIGHTS of a dx of 0. With
//                score (N, T, 1), codes and lengths the logits are what COPY_EVENTS makes of x w + b and
//                them, with attr.factor. In bf16 logits and their slopes are f32 all the same.
// POINTWISE_LOSS  x (N, …), target (N, …), weight real (N): loss (N) = mean over the row of l(x, t);
//                sum f64 (1) = sum_n weight loss; dx = weight inv_norm l'(x, t) / row size. Rows of
//                weight 0: loss 0, dx 0, even where the target is NaN. The target may have one number
//                a row, which then goes with all of the prediction's. l by attr.pointwise:
//                GIVEN x, which is a loss already; SQUARED (x - t)²; ABSOLUTE |x - t|; HUBER (x - t)² / 2 up to |x - t| = delta, beyond
//                it delta (|x - t| - delta / 2) (Huber 1964); QUANTILE max(q (t - x), (q - 1) (t - x))
//                where q = levels[i], i the place in the row, of which there are level_count (Koenker &
//                Bassett 1978); HINGE max(0, 1 - (2 t - 1) x); BINARY of logits: positive_weight t'
//                (1 - s)^gamma log(1 + exp(-x)) + (1 - t') s^gamma log(1 + exp(x)) where s =
//                sigmoid(x) and t' = t (1 - label_smoothing) + label_smoothing / 2: the cross-entropy,
//                for gamma > 0 the focal loss (Lin et al. 2017). At kinks: the slope 0.
// DISTRIBUTION_LOSS  x (N, P) parameters of attr.distribution, target (N, 1), weight real (N): loss (N)
//                = minus the log-likelihood of the target, NaN of one below 0; sum f64 (1) and dx (N, P)
//                as of POINTWISE_LOSS. ZERO_INFLATED_LOGNORMAL (Wang, Liu, Miao 2019), P = 3: 0 with
//                probability 1 - sigmoid(x0), else log t normal with mean x1 and deviation
//                max(softplus(x2), 1e-3.5). NEGATIVE_BINOMIAL, P = 2: mean m = exp(x0), shape r =
//                exp(x1), x1 within -12 … 12 (beyond: slope 0), variance m + m² / r.
// DISTRIBUTION_MEAN  x (N, P): y (N, 1) = the expected value: sigmoid(x0) exp(x1 + deviation² / 2);
//                exp(x0).
// ROW_MEANS      x (N, …), weight (N): sums f64 (2) = {sum of weight times the mean of the row, sum of
//                weight}; rows of weight 0 are not read.
// CATEGORICAL_HITS  x (N, K), target i32 (N), weight (N): sums f64 (2) = {sum of weight where the
//                first arg max of x equals target, sum of weight}.
// GATHER         table (R, …) of any type, index i64 or i32 (N): y (N, …) = table[index[n]]. Indices
//                are checked by the caller.
// GATHER_EVENTS  table (E, …) of any type, sorted by entity, begin i64 (N), lengths i32 (N): y
//                (N, T, …) = table[begin[n] + t] for t < lengths[n], else 0; T is attr.shape[0].
//                Ranges are checked by the caller; lengths beyond T count as T.
// LOOKUP         x i32 (N, …) category codes as stored, -1 = missing; map i32 (K): y (N, …) i32 =
//                map[x + 1] where 0 <= x + 1 < K, else map[0]: missing and unknown are one.
// CAST           to attr.dtype (u8, i32, i64, f32, f64, bf16 to real or bf16).
// IMPUTE         x (N, …, C), fill real (C): y = x, to the bit, where x is no NaN, else fill of its
//                channel; flags real, shape of x: 1 where x is NaN, else 0. C = 1 applies to all
//                channels.
// NORMALIZE      x (N, …, C), mean real (C), scale real (C): y = (x - mean) scale. C = 1 applies to
//                all channels.
// PIECEWISE_LINEAR  x (N, C), edges (C K), of each channel K ascending ones of which the last may be
//                infinite: y (N, C) = i + (x - edges[c,i]) / (edges[c,i+1] - edges[c,i]) for the last
//                edge i that is not above x, so that edges become 0, 1, …; 0 below the first edge, the
//                last finite edge's number above it. NaN passes.
// FLIP           x (N, H, W, C), ids i64 (N) sample ids: mirrored left-right if
//                uniform(seed, ids[n], epoch, purpose) < rate.
// SHIFTED_CROP   x (N, H, W, C): shifts each image by (dy, dx), each uniform in [-pad, pad]: with
//                b = 2 blocks words of elements 2 ids[n] and 2 ids[n] + 1 of (seed, ·, epoch,
//                purpose), d = ((bits * (2 pad + 1)) >> 32) - pad, dy from the first; y at (h, w)
//                = x at (h - dy, w - dx); vacated pixels = fill.
// AUGMENT        x (N, H, W, C), pixels 0 … 255: of each image, drawn as augment.h has it, a part of at
//                least attr.least_area and of sides 3:4 to 4:3 of the image's, turned by up to
//                attr.rotation degrees, fills the result (bilinear; beyond its borders the image is
//                mirrored); then y = clip((y - 127.5) (1 + c) + 127.5 + 255 b, 0, 255) where |c| <=
//                attr.contrast, |b| <= attr.brightness; then a square of attr.cutout pixels, whose
//                middle is any pixel, = fill (DeVries & Taylor 2017).
// INPUT_ROWS     GATHER (or, without index, the table's rows as they lie), CAST to attr.dtype, and,
//                with ids and step, FLIP (rate, purpose) and SHIFTED_CROP (pad, fill, crop_purpose),
//                with mean and scale, NORMALIZE: in this order, and to the bit what they give one
//                after another. rate = 0 and pad = 0 leave images as they are.
// (narrow)       of GRADIENT_NORM, SGD, ADAM and RMSPROP, bf16 (L): the gradient of the last L elements
//                of the block; g is then (M - L), whose length is a multiple of 8, and elements stand
//                for themselves in sums and updates, whatever their type.
// GRADIENT_NORM  g real (M), segments: sum f64 (1) = sum of g² over the listed segments, and
//                before[0] where there is before f64 (1); gate f64 (2) = {1 if sum is finite else 0, clip factor: 1, or clip_norm / sqrt(sum) where
//                clip_norm > 0 and sqrt(sum) > clip_norm}. gate[1] is unspecified where gate[0] is
//                0.
// SGD            where gate[0] != 0, for every listed segment, with c(g) = gate[1] g, limited to
//                [-clip_value, clip_value] where clip_value > 0: g' = c(g) + l2 w; without m:
//                w -= lr rate g'; with m: m = momentum m + g'; w -= lr rate (nesterov ? g' +
//                momentum m : m) (as PyTorch's SGD). l2 = weight_decay * segment.decay, rate =
//                segment.rate. SGD, ADAM and RMSPROP work in place: new_w, new_m, new_v are the memory of w,
//                m, v; what no segment lists stays. new_m is present where m is. mirror bf16 (M): new_w
//                rounded, for the listed elements where gate[0] != 0; the others stay.
// ADAM           (Kingma & Ba 2015; decoupled decay: Loshchilov & Hutter 2019) g' = c(g)
//                (+ l2 w unless decoupled); m = beta1 m + (1-beta1) g'; v = beta2 v + (1-beta2)
//                g'²; w -= lr rate l2 w (if decoupled); w -= lr rate (m bias_correction1) / (sqrt(v
//                bias_correction2) + epsilon), bias_correctionK = 1 / (1 - betaK^t).
// EMA            where gate[0] != 0, for every listed segment: ema += step.ema_rate (w - ema). Works in
//                place, as SGD and ADAM do: what no segment lists stays.
// RMSPROP        (Tieleman & Hinton 2012; with beta2 = added = 1 Adagrad, Duchi et al. 2011) g' = c(g)
//                + l2 w; v = beta2 v + added g'²; d = g' / (sqrt(v) + epsilon); with m: m = momentum
//                m + d and d = m; w -= lr rate d (as PyTorch's).
//
//                Tables of which a step touches few rows (layers' update: rows): nothing below goes
//                through V rows. Their gradient is a list, as PyTorch's sparse tensors before coalesce():
//                ids i32 (R) and rows real (R, D), of which the first count[0] hold (R: room for all
//                positions of an effective batch); the gradient of row v is the sum of the entries with
//                ids = v. Ids below 0 are of no row.
// APPEND_ROWS    index i32 (N, …), dy (N, …, D): index and dy become the entries from count[0] on
//                (attr.append = 1), or from 0 on (attr.append = 0: the first of an effective batch);
//                count[0] is then where they end. The other entries stay. In place. R has room for all
//                positions of an effective batch, which who plans reserves; implementations drop what is
//                beyond it only so that nothing is written elsewhere.
// SUM_ROWS       of the list sorted by ids, equal ones in their order: where the i-th entry is the first
//                of its id, unique i32 (R) [i] = that id, and sums (R, D) [i] = the sum of the rows of
//                that id, in an order that positions alone decide (on CPUs theirs); elsewhere unique[i] =
//                -1 and sums[i] = 0. It is an operation and not the loader's work: on GPUs indices are
//                made on the device, lists grow over micro-batches and by every layer that reads the
//                table, and sorting takes little of the time that the rows take.
// SGD_ROWS       w (V, D), and unique and sums as ids (R) and g (R, D): where gate[0] != 0, for each row
//                of ids within [0, V), what SGD without m does, with l2 = weight_decay and rate =
//                attr.rate. Other rows stay: no decay where there is no gradient.
// ADAM_ROWS      likewise what ADAM does, of the rows of w, m, v (V, D); steps i32 (V) [row] += 1, and that
//                is the t of the row's bias corrections. Lazy, as TensorFlow Addons' LazyAdam and
//                PyTorch's SparseAdam: moments of other rows do not decay. Theirs correct by the number
//                of all steps, so that a row met late in a training begins with moments near 0 that
//                nothing corrects; and they know no weight decay. A row whose steps[row] is that of all
//                steps gets what ADAM gives it.
// REORDER        y = x in another layout (padding of the result is zero).
//
// bf16: data may be bf16 where "real" is f32: activations, their gradients, and the copies of
// parameters that DENSE and CONV2D read (the fact .bf16 says which operands). Data of one operation
// are all bf16 or all f32, but for what .bf16_or_f32 and .bf16_each say. DENSE_RELU_BACKWARD has no
// db in bf16: libraries would round it to the type of dx, and DENSE_BACKWARD_WEIGHTS gives it from
// the same rows. Gradients of convolutions' kernels may be bf16. All else (other gradients of
// parameters, statistics, gamma, beta, losses, sums, slots) stays f32 or f64. An operation computes
// and sums in f32 at least and rounds each result once, to
// nearest, ties to even; an accumulated one after the addition. One exception is cuDNN's: dw of
// CONV2D_BACKWARD_WEIGHTS may be rounded to bf16 on its way to f32.

typedef enum co_op {
#define X(ENUM, ...) CO_OP_##ENUM,
  CO_OPS(X)
#undef X
      CO_OP_COUNT
} co_op;

// The places of operands: CO_DENSE_x, CO_DENSE_w and CO_DENSE_b are 0, 1 and 2 of in, CO_DENSE_y 0 of
// out. No operation has an input and an output of one name.
#define X(ENUM, name, inputs, outputs, ...)                                                        \
  enum { CO_OPERAND_PLACES(CO_##ENUM##_, inputs) };                                                \
  enum { CO_OPERAND_PLACES(CO_##ENUM##_, outputs) };
CO_OPS(X)
#undef X

#endif
