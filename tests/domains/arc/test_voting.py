"""SEAL's voting on cases made by hand."""

import numpy as np

from selfedit.domains.arc.voting import finalists, majority, vote

A, B, C, D = (np.full((2, 2), colour) for colour in (1, 2, 3, 4))


def same(found, *expected):
    return [grid.tolist() for grid in found] == [grid.tolist() for grid in expected]


def test_without_answers_there_is_no_attempt():
    assert vote({}) == vote({"identity": []}) == []


def test_a_single_answer_is_the_only_attempt():
    assert same(vote({"identity": [A]}), A)


def test_what_most_buckets_choose_wins_over_what_one_bucket_says_often():
    # A is in three buckets and in the one of all answers, B in one and in that of all.
    assert same(vote({"identity": [B, B, B, B], "flip 0": [A], "flip 1": [A], "transpose": [A]}), A, B)


def test_of_equals_the_identity_bucket_decides_and_then_who_came_first():
    assert same(vote({"flip 0": [A], "flip 1": [B], "identity": [C]}), C, A)


def test_a_buckets_fourth_candidate_takes_no_part_in_the_second_vote():
    same_bucket = [A, A, A, B, B, C, C, D]
    assert same(finalists(same_bucket), A, B, C)


def test_rows_and_columns_that_most_answers_agree_on_fill_a_bucket_up():
    one, two, three = (
        np.array(rows) for rows in ([[1, 1], [2, 2], [3, 9]], [[1, 1], [2, 9], [3, 3]], [[9, 1], [2, 2], [3, 3]])
    )
    truth = np.array([[1, 1], [2, 2], [3, 3]])
    assert same([majority([one, two, three], by_rows=True)], truth)
    assert same(finalists([one, one, two]), one, two)  # both majorities are `one`
    assert same(finalists([two, one]), two, one)
    two_of_them = np.array([[1, 1], [2, 9], [3, 9]])
    assert same([majority([two_of_them, truth, truth], by_rows=False)], truth)


def test_a_majority_can_be_an_answer_that_nobody_gave():
    first, second = np.array([[1, 1], [2, 2], [5, 5]]), np.array([[1, 1], [7, 7], [3, 3]])
    third = np.array([[6, 6], [2, 2], [3, 3]])
    assert same([majority([first, second, third], by_rows=True)], np.array([[1, 1], [2, 2], [3, 3]]))
    assert same(finalists([first, second]), first, second)


def test_answers_of_another_size_have_no_part_in_a_majority():
    large = np.zeros((3, 3), dtype=int)
    assert same([majority([A, large, A], by_rows=False)], A)


def test_attempts_are_two_and_different():
    found = vote({"identity": [A, B, C, C], "flip 0": [C, B]})
    assert len(found) == 2 and not np.array_equal(*found)
