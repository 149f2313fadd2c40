// Every op that the page can run, by the engine's name for it: {forward(inputs, meta, dtype) -> array,
// backward(g, inputs, y, meta, needs) -> [array or null per input]}.

const OPS = {
  ...ELEMENTWISE_OPS,
  ...SHAPE_OPS,
  ...INDEX_OPS,
  ...REDUCE_OPS,
  ...LINALG_OPS,
  ...CONV_OPS,
  ...LOSS_OPS,
  ...LOGIC_OPS,
};

// Ops of the engine that are not in the table, and why; all of these run where the page has them opened into
// plain ops.
const NOT_IN_TABLE = {
  attention: "a fused op: runs as the plain ops inside",
  ctc_loss: "a fused op: runs as the plain ops inside",
  linear_cross_entropy: "a fused op: runs as the plain ops inside",
  packed_attention: "a fused op: runs as the plain ops inside",
  rnn_sequence: "a fused op: runs as the plain ops inside",
  lstm_sequence: "a fused op: runs as the plain ops inside",
  gru_sequence: "a fused op: runs as the plain ops inside",
};
