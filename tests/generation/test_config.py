"""The sidecar of a pipeline's folder."""

import numpy as np
import pytest

from gpt4video.errors import ConfigError
from gpt4video.generation.config import SIDECAR, DrawerConfig, PreviewMap


def test_a_sidecar_is_read_as_it_was_written(tmp_path):
    config = DrawerConfig(
        64,
        64,
        16,
        8.0,
        steps=8,
        guidance=3.0,
        enlarge=4,
        lengths=(24,),
        preview=PreviewMap(((0.1, 0.2, 0.3),) * 4),
    )
    config.write(tmp_path)
    assert DrawerConfig.of_folder(tmp_path) == config


def test_a_folder_without_a_sidecar_leaves_everything_to_the_pipeline(tmp_path):
    assert DrawerConfig.of_folder(tmp_path) == DrawerConfig()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"widht": 64}', "Did you mean 'width'"),
        ("{", "is not JSON"),
        ('{"width": 64}', "come together"),
        ('{"steps": 0}', "above 0"),
        ('{"steps": 101}', "max_steps"),
        ('{"fps": "fast"}', "must be float"),
    ],
)
def test_a_sidecar_that_does_not_fit_says_why_and_where(tmp_path, text, says):
    (tmp_path / SIDECAR).write_text(text)
    with pytest.raises(ConfigError, match=says) as caught:
        DrawerConfig.of_folder(tmp_path)
    assert SIDECAR in caught.value.message


def test_a_fitted_preview_map_gives_the_colours_back():
    rng = np.random.default_rng(0)
    latents, weights, bias = rng.normal(size=(100, 4)), rng.normal(size=(4, 3)), np.array([0.1, 0.5, 0.9])
    fitted = PreviewMap.fit(latents, latents @ weights + bias)
    assert np.allclose(fitted.weights, weights, atol=1e-4)
    assert np.allclose(fitted.bias, bias, atol=1e-4)
