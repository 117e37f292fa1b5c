"""Band-split transformers with rotary positions: BS-RoFormer and Mel-Band RoFormer, one trunk with two band layouts."""
