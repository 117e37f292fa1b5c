// Records what arrives at its inputs, block by block; a test's own eyes on the page's sound.
class Recorder extends AudioWorkletProcessor {
  constructor(options) {
    super(options);
    this.count = options.numberOfInputs;
    this.blocks = [];
    this.frames = [];
    this.on = false;
    this.port.onmessage = ({data}) => {
      if (data === "on") { this.blocks = []; this.frames = []; this.on = true; }
      else { this.on = false; this.port.postMessage({frames: this.frames, blocks: this.blocks}); this.blocks = []; }
    };
  }

  process(inputs) {
    if (!this.on) return true;
    this.frames.push(currentFrame);
    const block = new Float32Array(256 * this.count);
    inputs.forEach((input, index) => { if (input[0]) { block.set(input[0], 256 * index); block.set(input[1] ?? input[0], 256 * index + 128); } });
    this.blocks.push(block);
    return true;
  }
}
registerProcessor("recorder", Recorder);
