"""Graphs and sets: A_hat by hand, dense equals sparse, renumbered nodes, points in any order, k-NN against all pairs."""

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn, optim
from minigrad.models.gat import GAT, GraphAttention
from minigrad.models.gcn import GCN, GraphConvolution, directed, normalised, normalised_edges, propagate
from minigrad.models.knn import KNN
from minigrad.models.pointnet import PointNet, TNet

EDGES = np.array([(0, 1), (1, 2), (2, 0), (2, 3), (4, 5)])


def count(module):
    return sum(p.size for p in module.parameters())


def array(x):
    return x.detach().cpu().numpy()


def features(rows, columns, seed=0):
    return np.random.default_rng(seed).standard_normal((rows, columns)).astype(np.float32)


def adjacency(edges=EDGES, nodes=7):
    a = np.zeros((nodes, nodes))
    a[edges[:, 0], edges[:, 1]] = a[edges[:, 1], edges[:, 0]] = 1
    return a


def lowers_its_loss(net, call, labels, steps=15, lr=0.02):
    """The first gradient reaches every parameter; the last loss."""
    optimiser, losses = optim.Adam(net.parameters(), lr), []
    for step in range(steps):
        optimiser.zero_grad()
        loss = nn.CrossEntropyLoss()(call(), mg.tensor(labels))
        loss.backward()
        if step == 0:
            for key, p in net.named_parameters():
                assert p.grad is not None and p.grad.shape == p.shape and abs(array(p.grad)).max() > 0, key
        optimiser.step()
        losses.append(loss.item())
    return losses[-1] < 0.7 * losses[0]


# ---------------------------------------------------------------- GCN and GAT


def test_parameter_counts():
    assert count(GCN(1433, 7)) == 23_063
    assert count(GAT(1433, 7)) == 92_373
    assert count(TNet(3)) == 801_097 and count(TNet(64)) == 1_855_360


def test_a_hat_by_hand():
    path = normalised([[0, 1, 0], [1, 0, 1], [0, 1, 0]])  # degrees with loops 2, 3, 2
    r = 6**-0.5
    np.testing.assert_allclose(array(path), [[1 / 2, r, 0], [r, 1 / 3, r], [0, r, 1 / 2]], rtol=1e-6)
    eigenvalues = np.linalg.eigvalsh(array(normalised(adjacency())).astype(np.float64))
    assert eigenvalues.max() == pytest.approx(1, abs=1e-6) and eigenvalues.min() > -1


def test_the_edge_list_says_the_same_as_the_matrix():
    edges = normalised_edges(EDGES, 7)
    a = np.zeros((7, 7))
    np.add.at(a, (array(edges.target), array(edges.source)), array(edges.weight))
    np.testing.assert_allclose(a, array(normalised(adjacency())), rtol=1e-6)
    both_ways_and_twice = np.concatenate([EDGES, EDGES[:, ::-1], EDGES[:2], [(3, 3)]])
    for once, again in zip(directed(EDGES, 7), directed(both_ways_and_twice, 7)):
        np.testing.assert_array_equal(once, again)


@pytest.mark.parametrize("make", [lambda: GCN(5, 3), lambda: GAT(5, 3, 4, 2, out_heads=3)], ids=["gcn", "gat"])
def test_dense_and_sparse_agree_with_their_gradients(make):
    mg.manual_seed(0)
    net = make().eval()
    x = mg.tensor(features(7, 5))
    outputs, gradients = [], []
    for graph in (normalised(adjacency()), normalised_edges(EDGES, 7)):
        net.zero_grad()
        y = net(x, graph)
        (y * mg.tensor(features(7, 3, 1))).sum().backward()
        outputs.append(array(y))
        gradients.append([array(p.grad) for p in net.parameters()])
    np.testing.assert_allclose(*outputs, atol=1e-6)
    for dense, sparse in zip(*gradients):
        np.testing.assert_allclose(dense, sparse, atol=2e-6)


@pytest.mark.parametrize("make", [lambda: GCN(5, 3), lambda: GAT(5, 3, 4, 2)], ids=["gcn", "gat"])
@pytest.mark.parametrize("sparse", [False, True])
def test_renumbered_nodes_renumber_the_output(make, sparse):
    mg.manual_seed(1)
    net, x, a = make().eval(), features(7, 5), adjacency()
    order = np.random.default_rng(2).permutation(7)
    place = np.argsort(order)  # where each old node stands now
    graphs = (
        (normalised_edges(EDGES, 7), normalised_edges(place[EDGES], 7))
        if sparse
        else (normalised(a), normalised(a[order][:, order]))
    )
    y, renumbered = array(net(mg.tensor(x), graphs[0])), array(net(mg.tensor(x[order]), graphs[1]))
    np.testing.assert_allclose(renumbered, y[order], atol=1e-6)
    assert abs(y[order] - y).max() > 1e-2


def test_two_layers_see_two_steps():
    chain = normalised_edges([(i, i + 1) for i in range(6)], 7)
    for net in (GCN(5, 3).eval(), GAT(5, 3).eval()):
        x = mg.tensor(features(7, 5), requires_grad=True)
        net(x, chain)[0].sum().backward()
        seen = abs(array(x.grad)).sum(1) > 0
        assert seen[:2].all() and not seen[3:].any()


def test_gat_attention_is_an_average_of_neighbours():
    """W = I and one head: each output lies between what the neighbours hold; with a = 0, it is their mean."""
    layer = GraphAttention(3, 3)
    layer.weight = nn.Parameter(mg.eye(3))
    x = features(7, 3)
    y = array(layer(mg.tensor(x), mg.tensor(adjacency().astype(np.float32))))
    for i, row in enumerate(adjacency() + np.eye(7)):
        assert (y[i] <= x[row > 0].max(0) + 1e-6).all() and (y[i] >= x[row > 0].min(0) - 1e-6).all()
    layer.a_source, layer.a_target = nn.Parameter(mg.zeros(1, 3)), nn.Parameter(mg.zeros(1, 3))
    mean = adjacency() + np.eye(7)
    mean /= mean.sum(1, keepdims=True)
    np.testing.assert_allclose(array(layer(mg.tensor(x), normalised_edges(EDGES, 7))), mean @ x, atol=1e-6)


def test_gat_sums_do_not_vanish_where_scores_are_far_apart():
    layer = GraphAttention(1, 1)
    layer.weight, layer.a_source = nn.Parameter(mg.ones(1, 1)), nn.Parameter(mg.ones(1, 1))
    x = mg.tensor([[1000.0], [1.0], [1.0]])  # node 0 raises the bound for 1 and 2, whom it does not reach
    y = array(layer(x, normalised_edges([(1, 2)], 3)))
    np.testing.assert_allclose(y[:, 0], [1000, 1, 1], rtol=1e-5)


@pytest.mark.parametrize("make", [lambda: GCN(8, 2), lambda: GAT(8, 2, 4, 2, dropout=0.2)], ids=["gcn", "gat"])
def test_graph_networks_learn_two_communities(make):
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 15)
    near = rng.random((30, 30)) < np.where(labels[:, None] == labels, 0.3, 0.02)
    edges = normalised_edges(np.argwhere(np.triu(near, 1)), 30)
    x = mg.tensor(features(30, 8) + 0.5 * labels[:, None].astype(np.float32))
    mg.manual_seed(0)
    net = make()
    assert lowers_its_loss(net, lambda: net(x, edges), labels, 30)


def test_graphs_that_do_not_fit_are_told():
    with pytest.raises(ValueError, match=r"normalised: expected a symmetric"):
        normalised([[0, 1], [0, 0]])
    with pytest.raises(ValueError, match=r"directed: .*nodes=2"):
        normalised_edges([(0, 2)], 2)
    with pytest.raises(ValueError, match=r"propagate: expected a row for each of 2 nodes"):
        propagate(normalised([[0, 1], [1, 0]]), mg.zeros(3, 4))
    with pytest.raises(ValueError, match=r"GraphAttention: expected a row for each of 7 nodes"):
        GAT(5, 3)(mg.zeros(6, 5), normalised_edges(EDGES, 7))
    assert GraphConvolution(5, 3)(mg.zeros(7, 5), normalised_edges(EDGES, 7)).shape == (7, 3)


# ---------------------------------------------------------------- PointNet


@pytest.fixture(scope="module")
def pointnet():
    """A PointNet whose transforms are no longer the identity."""
    mg.manual_seed(0)
    net = PointNet(classes=4)
    for t in (net.input_transform, net.feature_transform):
        t.matrix.weight = nn.Parameter(mg.randn(*t.matrix.weight.shape) * 0.01)
    return net


def test_pointnet_has_the_papers_size():
    assert count(PointNet()) == 3_473_969  # the paper says 3.5 million


def in_whole_numbers(net, rng):
    """Weights -1, 0 and 1, two in a row, and norms that change nothing: below 2^53, so nothing is rounded."""
    for module in net.modules():
        if isinstance(module, nn.Linear):
            rows, columns = module.weight.shape
            weight = np.zeros((rows, columns))
            for _ in range(2):
                weight[np.arange(rows), rng.integers(0, columns, rows)] = rng.choice([-1.0, 1.0], rows)
            module.weight = nn.Parameter(mg.tensor(weight))
        if isinstance(module, nn.BatchNorm1d):
            module.eps = 0.0
    return net.to(mg.float64).eval()


def test_pointnet_does_not_know_an_order_exactly():
    rng = np.random.default_rng(0)
    net = in_whole_numbers(PointNet(classes=4), rng)
    net.output.bias = nn.Parameter(mg.zeros(4, dtype=mg.float64))
    points = rng.integers(-8, 9, (2, 37, 3)).astype(np.float64)
    y = array(net(mg.tensor(points)))
    assert (y == np.rint(y)).all() and len(np.unique(y)) > 4
    for _ in range(3):
        np.testing.assert_array_equal(array(net(mg.tensor(points[:, rng.permutation(37)]))), y)


def test_pointnet_does_not_know_an_order(pointnet):
    net, rng = pointnet.eval(), np.random.default_rng(0)
    points = features(37, 3)[None]
    y = array(net(mg.tensor(points)))
    np.testing.assert_allclose(array(net(mg.tensor(points[:, rng.permutation(37)]))), y, atol=1e-6)
    assert abs(array(net(mg.tensor(2 * points))) - y).max() > 1e-4


def test_pointnet_hangs_on_its_critical_points(pointnet):
    """Points that supply no maximum can be left out: neither the transforms nor the class change."""
    points = features(50, 3)[None]
    net = pointnet.eval()
    x = net.features(mg.tensor(points))
    critical = array(net.critical(mg.tensor(points)))
    assert critical.shape == (1, 1024) and (np.sort(array(x), 1)[:, -1] == array(x)[0, critical, np.arange(1024)]).all()
    repeated = np.concatenate([points, points[:, :20]], 1)  # a set: the same point twice is the same set
    np.testing.assert_allclose(array(net(mg.tensor(repeated))), array(net(mg.tensor(points))), atol=1e-5)


def test_transforms_begin_at_the_identity():
    t = TNet(3).eval()
    np.testing.assert_array_equal(array(t(mg.randn(2, 5, 3))), np.broadcast_to(np.eye(3), (2, 3, 3)))
    net = PointNet(classes=4).eval()
    with pytest.raises(ValueError, match="a call before regulariser"):
        net.regulariser()
    net(mg.randn(2, 5, 3))
    assert net.regulariser().item() == 0.0  # the identity is orthogonal
    net.transform = mg.eye(64)[None] * 2.0
    assert net.regulariser().item() == 64 * 9  # |I - 4 I|^2


def test_pointnet_learns_discs_from_rings(pointnet):
    rng = np.random.default_rng(0)
    labels = np.arange(4) % 2
    points = rng.standard_normal((4, 16, 3)).astype(np.float32)
    points[labels == 1] /= np.linalg.norm(points[labels == 1], axis=-1, keepdims=True)
    net = pointnet.train()

    def scores():
        y = net(mg.tensor(points))
        return y + 0.001 * net.regulariser()  # a constant on every score: it only has to flow

    assert lowers_its_loss(net, scores, labels, 5, 1e-3)


def test_points_that_do_not_fit_are_told(pointnet):
    with pytest.raises(ValueError, match=r"PointNet: expected points \(B, P, 3\), got \(5, 3\)"):
        pointnet(mg.zeros(5, 3))


# ---------------------------------------------------------------- k-NN


def by_all_pairs(train, labels, points, k):
    """Distances of each pair, a vote, ties to the class of the nearest."""
    said = []
    for p in points:
        near = labels[np.argsort(((train - p) ** 2).sum(1), kind="stable")[:k]]
        votes = np.bincount(near)
        said.append(next(c for c in near if votes[c] == votes.max()))
    return np.array(said)


@pytest.mark.parametrize("k", [1, 2, 3, 7])
@pytest.mark.parametrize("block", [4, 1000])
def test_knn_equals_all_pairs(k, block):
    rng = np.random.default_rng(k)
    train, labels = rng.integers(0, 9, (60, 4)), rng.integers(0, 3, 60)  # whole numbers: many equal distances
    points = rng.integers(0, 9, (25, 4))
    said = KNN(k, block).fit(train, labels).predict(points)
    np.testing.assert_array_equal(said, by_all_pairs(train, labels, points, k))


def test_knn_ties_go_to_the_nearest():
    net = KNN(k=2).fit([[0.0], [1.0], [5.0]], [1, 0, 0])
    assert net.predict([[0.4], [0.6]]).tolist() == [1, 0]
    assert KNN(k=3).fit([[0.0], [1.0], [5.0]], [1, 0, 0]).predict([[0.4]]).tolist() == [0]


def test_knn_finds_the_training_points_themselves_and_takes_images():
    images = np.random.default_rng(0).integers(0, 256, (30, 4, 4), dtype=np.uint8)
    labels = np.arange(30)
    assert (KNN(1).fit(images, labels).predict(images) == labels).all()


def test_knn_tells_what_does_not_fit():
    with pytest.raises(ValueError, match="k=0"):
        KNN(0)
    with pytest.raises(ValueError, match="call fit"):
        KNN().predict([[0.0]])
    with pytest.raises(ValueError, match=r"at least k points \(k=3\), got 2"):
        KNN(3).fit([[0.0], [1.0]], [0, 1])
    with pytest.raises(ValueError, match="of 1 number each, got 2"):
        KNN().fit([[0.0], [1.0]], [0, 1]).predict([[0.0, 1.0]])
