// Judges raw RGB frames with an exported model: dotnet run -- MODEL HEIGHT WIDTH FILE...
using System.Globalization;
using Microsoft.ML.OnnxRuntime;

if (args.Length < 4)
{
    Console.Error.WriteLine("judge: expected MODEL HEIGHT WIDTH FILE...");
    return 2;
}
using var options = new SessionOptions { IntraOpNumThreads = 1 };
options.AddSessionConfigEntry("session.intra_op.allow_spinning", "0");
using var session = new InferenceSession(args[0], options);
long[] shape = [1, long.Parse(args[1]), long.Parse(args[2]), 3];
string[] decisions = ["pass", "review", "reject"];
using var run = new RunOptions();

foreach (var file in args[3..])
{
    using var frame = OrtValue.CreateTensorValueFromMemory(File.ReadAllBytes(file), shape);
    using var answers = session.Run(run, ["frames"], [frame], ["decision", "severity"]);
    var decision = answers[0].GetTensorDataAsSpan<long>()[0];
    var severity = answers[1].GetTensorDataAsSpan<float>()[0];
    var text = severity.ToString("F4", CultureInfo.InvariantCulture);
    Console.WriteLine($"{decisions[decision]}\t{text}\t{file}");
}
return 0;
