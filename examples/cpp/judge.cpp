// Judges raw RGB frames with an exported model: judge MODEL HEIGHT WIDTH FILE...
#include <array>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

#include <onnxruntime_cxx_api.h>

static void judge(int count, char** given) {
  Ort::Env environment(ORT_LOGGING_LEVEL_ERROR, "judge");
  Ort::SessionOptions options;
  options.SetIntraOpNumThreads(1);
  options.AddConfigEntry("session.intra_op.allow_spinning", "0");
  Ort::Session session(environment, std::filesystem::path(given[1]).c_str(), options);
  const auto memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
  const std::array<int64_t, 4> shape{1, std::stoll(given[2]), std::stoll(given[3]), 3};
  const char* inputs[] = {"frames"};
  const char* outputs[] = {"decision", "severity"};
  const char* decisions[] = {"pass", "review", "reject"};

  for (int index = 4; index < count; ++index) {
    std::ifstream stream(given[index], std::ios::binary);
    std::vector<uint8_t> frame{std::istreambuf_iterator<char>(stream), {}};
    if (frame.size() != static_cast<size_t>(shape[1] * shape[2] * 3))
      throw std::runtime_error(std::string(given[index]) + ": expected HEIGHT x WIDTH x 3 bytes");
    auto input = Ort::Value::CreateTensor<uint8_t>(memory, frame.data(), frame.size(), shape.data(), shape.size());
    auto answers = session.Run(Ort::RunOptions{nullptr}, inputs, &input, 1, outputs, 2);
    const auto decision = answers[0].GetTensorData<int64_t>()[0];
    const auto severity = answers[1].GetTensorData<float>()[0];
    std::printf("%s\t%.4f\t%s\n", decisions[decision], severity, given[index]);
  }
}

int main(int count, char** given) {
  if (count < 5) {
    std::fprintf(stderr, "judge: expected MODEL HEIGHT WIDTH FILE...\n");
    return 2;
  }
  try {
    judge(count, given);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "judge: %s\n", error.what());
    return 2;
  }
}
