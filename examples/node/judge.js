// Judges raw RGB frames with an exported model: node judge.js MODEL HEIGHT WIDTH FILE...
const fs = require("node:fs");
const ort = require("onnxruntime-node");

async function main([model, height, width, ...files]) {
  const session = await ort.InferenceSession.create(model, {
    executionProviders: ["cpu"],
    intraOpNumThreads: 1,
  });
  for (const file of files) {
    const bytes = fs.readFileSync(file);
    const frames = new ort.Tensor("uint8", bytes, [1, Number(height), Number(width), 3]);
    const { decision, severity } = await session.run({ frames }, ["decision", "severity"]);
    console.log(
      [["pass", "review", "reject"][Number(decision.data[0])], severity.data[0].toFixed(4), file].join("\t"),
    );
  }
}

main(process.argv.slice(2)).catch((error) => {
  console.error(`judge: ${error.message}`);
  process.exitCode = 2;
});
