"""Progress and failures as the engines print them, and convergence in words."""

from __future__ import annotations

import numpy as np
import pytest
from MultimodalRegistrationLib.engines.logs import Iteration, LogReader, engine_error
from MultimodalRegistrationLib.register.verdict.convergence import judge_convergence

ELASTIX_LINES = """\
Resolution: 0
WARNING: The parameter "ShowExactMetricValue", requested at entry number 0, does not exist at all.
1:ItNr	2:Metric	3a:Time	3b:StepSize	4:||Gradient||	Time[ms]
0	-0.070951	0.000000	4.130322	0.065938	8.5
1	-0.090123	1.000000	3.930322	0.055938	0.5
Resolution: 1
0	-0.219882	11.619128	1.278592	0.025729	0.3
Resolution: 0
0	-0.200000	11.619128	1.278592	0.025729	0.3
"""
ANTS_LINES = """\
  Shrink factors (level 1 out of 2): [4, 3, 4]
*** Running Euler3DTransform registration ***

DIAGNOSTIC,Iteration,metricValue,convergenceValue,ITERATION_TIME_INDEX,SINCE_LAST
 2DIAGNOSTIC,     1, -8.099702000618e-01, inf, 4.2537e-02, 4.2537e-02,
 2DIAGNOSTIC,     2, -8.213021783829e-01, inf, 4.9890e-02, 4.9890e-02,
DIAGNOSTIC,Iteration,metricValue,convergenceValue,ITERATION_TIME_INDEX,SINCE_LAST
 2DIAGNOSTIC,     1, -9.183021783829e-01, 1.106309355237e-06, 3.7913e+00, 6.3868e-02,
  Elapsed time (stage 0): 3.8572e+00
*** Running AffineTransform registration ***

DIAGNOSTIC,Iteration,metricValue,convergenceValue,ITERATION_TIME_INDEX,SINCE_LAST
 2DIAGNOSTIC,     1, -9.822245836258e-01, inf, 4.9890e-02, 4.9890e-02,
"""


def read(engine, stages, text):
    reader = LogReader(engine, stages)
    found = [iteration for line in text.splitlines() if (iteration := reader.feed(line))]
    return found, [reader.fraction(iteration) for iteration in found]


def test_elastix():
    stage = {"NumberOfResolutions": 2, "MaximumNumberOfIterations": [2, 3]}
    found, fractions = read("elastix", [stage, stage], ELASTIX_LINES)
    assert [(i.stage, i.level, i.number) for i in found] == [(0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0)]
    assert [i.metric for i in found] == [-0.070951, -0.090123, -0.219882, -0.2]
    assert fractions == pytest.approx([0.1, 0.2, 0.3, 0.6])


def test_ants():
    stage = {"iterations": [2, 3]}
    found, fractions = read("ants", [stage, stage], ANTS_LINES)
    assert [(i.stage, i.level, i.number) for i in found] == [(0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0)]
    assert fractions == pytest.approx([0.1, 0.2, 0.3, 0.6])


def test_simpleitk():
    stage = {"iterations": 5, "resolutions_mm": [4, 2]}
    found, fractions = read("simpleitk", [stage], "STAGE 0 LEVEL 1 ITERATION 2 METRIC -0.5\nSTOPPED x")
    assert found == [Iteration(0, 1, 2, -0.5)]
    assert fractions == pytest.approx([0.8])


@pytest.mark.parametrize(
    ("printed", "cause"),
    [
        ("Too many samples map outside moving image buffer: 2203 / 16384", "hardly overlap"),
        ("itk::ERROR: MattesMutualInformationImageToImageMetricv4: Joint PDF summed to zero", "nothing to compare"),
        ("All samples map outside moving image buffer.", "nothing to compare"),
        ("Could not find enough image samples within reasonable time. Probably the mask is too small", "too small"),
        ("ComputeJacobianTerms(0x1): No valid voxels (0/1000) found to estimate the parameters", "too small"),
        ("terminate called after throwing an instance of 'std::bad_alloc'", "not enough memory"),
        ("ImportError: libz.so.1: cannot open shared object file", "package is damaged"),
        ("something new went wrong", "it stopped with: something new went wrong"),
    ],
)
def test_failures_in_words(printed, cause):
    error = engine_error("elastix", printed, f"log before\n{printed}")
    assert cause in str(error)
    assert error.log.startswith("log before")
    assert error.exit_code == 3


def trace(values):
    return [Iteration(0, 0, number, float(value)) for number, value in enumerate(values)]


def test_a_noisy_plateau_has_settled():
    rng = np.random.default_rng(3)
    values = -1 + np.exp(-np.arange(500) / 20) + rng.normal(0, 0.02, 500)
    judged = judge_convergence(trace(values))
    assert judged.settled is True
    assert judged.words.startswith("Settled")
    assert judged.levels[0].metric_last == pytest.approx(-1, abs=0.02)


def test_a_steady_slope_has_not():
    rng = np.random.default_rng(4)
    values = -np.arange(500) / 500 + rng.normal(0, 0.02, 500)
    judged = judge_convergence(trace(values))
    assert judged.settled is False
    assert "Still improving" in judged.words


def test_an_optimiser_that_found_nothing_better_has_settled():
    judged = judge_convergence(trace([-0.5, -0.6]), "PowellOptimizerv4: values are within Value Tolerance ( 1e-06 )")
    assert judged.settled is True


def test_too_few_iterations_tell_nothing():
    assert judge_convergence(trace([-0.1, -0.2])).settled is None
    assert judge_convergence([]).settled is None
